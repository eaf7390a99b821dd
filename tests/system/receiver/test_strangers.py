"""What a peer may do to the receiver before it has logged in, and what it costs its neighbours."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.receiver import listener
from cucmd.receiver.packets import Kind
from rig import attackers
from rig import sftp_words as words


@contextmanager
def stranger(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(attackers.VERSION)
        yield connection


def read_until(connection: socket.socket, done: Callable[[bytes], bool]) -> bytes:
    """What it says, until `done` or the end."""
    heard = b""
    while not done(heard):
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            break
        if not data:
            break
        heard += data
    return heard


def never(heard: bytes) -> bool:
    return False


@pytest.mark.parametrize(("packets", "is_cut"), [(90, False), (101, True)])
async def test_before_a_key_exchange_a_peer_may_send_so_many_packets(
    receiver: Any, other: Any, until: Any, caplog: Any, packets: int, is_cut: bool
) -> None:
    def say() -> bytes:
        with stranger(receiver.port) as connection:
            connection.sendall(attackers.IGNORE * packets + attackers.KEXINIT)
            connection.shutdown(socket.SHUT_WR)
            return read_until(connection, never)

    await other.run(say)
    await until(lambda: not receiver.connections)
    assert ("receiver: connection from" in caplog.text) == is_cut


async def test_a_second_key_exchange_before_the_login_is_not_made(
    receiver: Any, other: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def exchange() -> None:
        with other.transport_of(receiver.port) as transport:
            transport.renegotiate_keys()

    with pytest.raises(EOFError):
        await other.run(exchange)
    await until(lambda: not receiver.connections)
    assert "key exchange" in caplog.text


async def test_the_largest_group_is_not_computed_even_where_group_exchange_is_allowed(
    open_with: Any, other: Any
) -> None:
    group = b"\x1f" + attackers.string(b"")[:2]  # the message, and the first bytes of a length

    def ask(port: int) -> int:
        with stranger(port) as connection:
            connection.sendall(attackers.KEXINIT)
            heard = read_until(connection, lambda heard: attackers.GROUP_EXCHANGE in heard)
            assert attackers.GROUP_EXCHANGE in heard
            connection.sendall(attackers.WITH_LARGEST_GROUP)
            rest = read_until(connection, lambda heard: group in heard and len(heard) > 100)
            at = rest.index(group) + 1
            return 8 * (int.from_bytes(rest[at : at + 4], "big") - 1)

    async with open_with(legacy=True) as receiver:
        assert await other.run(ask, receiver.port) == 2048


@pytest.mark.parametrize("broken", [("excess",), ("excess", "abort")], ids="/".join)
async def test_a_defect_in_the_check_of_one_connection_ends_no_other(
    receiver: Any, open_target: Any, other: Any, until: Any, caplog: Any, broken: tuple[str, ...]
) -> None:
    def fail() -> None:
        raise KeyError("a defect")

    def push(target: Any) -> None:
        """Asks on an old connection until the other one is gone, and on a new one after that."""
        with other.raw_sftp(target) as raw:
            while len(receiver.connections) > 1:
                assert raw.ask(words.on_path(Kind.STAT, 1, b"/")).kind == Kind.ATTRS
            assert raw.ask(words.on_path(Kind.STAT, 1, b"/")).kind == Kind.ATTRS
        with other.raw_sftp(target):
            pass

    with await other.run(lambda: Entered(lambda: stranger(receiver.port))) as _:
        await until(lambda: receiver.connections)
        [connection] = receiver.connections
        for name in broken:
            setattr(connection, name, fail)
        await other.run(push, open_target(receiver))
    assert caplog.text.count("KeyError: 'a defect'") == len(broken)
    if "abort" in broken:
        type(connection).abort(connection)
    await until(lambda: not receiver.connections)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ignore", "exchange", "idle", "crowd"])
async def test_an_attack_before_the_login_fails_no_push(
    receiver: Any, open_target: Any, openssh: Any, until: Any, tmp_path: Path, kind: str
) -> None:
    log = tmp_path / "log"
    log.write_bytes(os.urandom(2_000_000))
    target = open_target(receiver, address="127.0.0.1")

    def attack() -> Any:
        return attackers.attacker(kind, receiver.port)

    with await trio.to_thread.run_sync(lambda: Entered(attack)) as _:
        await until(lambda: receiver.unauthenticated.total > 0)
        for number in range(3):
            done = await openssh.sftp(target, f"put {log} {number}\n")
            assert done.returncode == 0, done.stderr
    assert [(file.size, file.closed) for file in target.target.files()] == [(2_000_000, True)] * 3
    assert target.target.refused == 0
    await until(lambda: not receiver.connections)


@pytest.mark.long
async def test_empty_packets_of_one_that_has_logged_in_fail_no_push_of_another(
    receiver: Any, open_target: Any, openssh: Any, until: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_bytes(os.urandom(2_000_000))
    good, hostile = open_target(receiver, "good"), open_target(receiver, "hostile")

    def attack() -> Any:
        login = hostile.target.username, hostile.target.password
        return attackers.attacker("upload", receiver.port, *login)

    with await trio.to_thread.run_sync(lambda: Entered(attack)) as _:
        await until(lambda: hostile.target.logins)
        done = await openssh.sftp(good, f"put {log} a\n")
        assert done.returncode == 0, done.stderr
        hostile.target.revoke()  # what it has sent would be handled first
    await until(lambda: not receiver.connections)


class Entered:
    """A context manager that was entered in another thread: starting a process waits for it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._inner = make()
        self._inner.__enter__()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._inner.__exit__(None, None, None)


class Failing:
    """A listening socket at which two `accept` fail."""

    def __init__(self, listening: socket.socket, error: int) -> None:
        self._listening = listening
        self._error = error
        self.failures = 2

    def fileno(self) -> int:
        return self._listening.fileno()

    def accept(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError(self._error, os.strerror(self._error))
        return self._listening.accept()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENETDOWN, errno.EPERM])
async def test_after_an_error_connections_are_accepted_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    monkeypatch.setattr(listener, "_RECOVERY", 0.01)
    asked = trio.Event()

    class NobodyMayConnect:
        def may_connect(self, source: str) -> bool:
            asked.set()
            return False

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        failing: Any = Failing(listening, error)
        nobody: Any = NobodyMayConnect()
        async with trio.open_nursery() as nursery:
            accepting = listener._Accepting(failing, listener.Accepted(nobody), nobody)
            nursery.start_soon(accepting.run)
            with socket.create_connection(listening.getsockname()), trio.fail_after(10):
                await asked.wait()
            nursery.cancel_scope.cancel()
    assert failing.failures == 0
    assert len(caplog.records) == 1
