"""What a peer may do to the receiver before it has logged in, and what it costs its neighbours."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from rig import attackers


@contextmanager
def stranger(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(attackers.VERSION)
        yield connection


def read_until(connection: socket.socket, done: Callable[[bytes], bool]) -> bytes:
    """Reads what it says, until `done` or the end."""
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


async def test_who_sends_more_than_a_login_takes_is_read_no_more_until_its_time_is_over(
    open_with: Any, open_target: Any, openssh: Any, other: Any, until: Any, connected: Any
) -> None:
    def flood(connection: socket.socket) -> None:
        connection.setblocking(False)
        with suppress(BlockingIOError):  # then as much as both kernels hold is not read
            while True:
                connection.send(attackers.IGNORE * 5000)

    async with open_with() as receiver:
        with stranger(receiver.port) as connection:
            await other.run(flood, connection)
            target = open_target(receiver)
            assert (await openssh.sftp(target, "pwd\n")).returncode == 0
            await until(lambda: connected(receiver.port) == 1)
    async with open_with(login_timeout=0.5) as receiver:
        with stranger(receiver.port) as connection:
            await other.run(flood, connection)
            await until(lambda: not connected(receiver.port))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ignore", "exchange", "idle", "crowd"])
async def test_an_attack_before_the_login_fails_no_push(
    receiver: Any,
    open_target: Any,
    openssh: Any,
    until: Any,
    connected: Any,
    tmp_path: Path,
    kind: str,
) -> None:
    log = tmp_path / "log"
    log.write_bytes(os.urandom(2_000_000))
    target = open_target(receiver, address="127.0.0.1")

    def attack() -> Any:
        return attackers.attacker(kind, receiver.port)

    with await trio.to_thread.run_sync(lambda: Entered(attack)) as _:
        await until(lambda: connected(receiver.port) > 0)
        for number in range(3):
            done = await openssh.sftp(target, f"put {log} {number}\n")
            assert done.returncode == 0, done.stderr
    assert [(file.size, file.closed) for file in target.target.files()] == [(2_000_000, True)] * 3
    assert target.target.refused == 0
    # The kernel holds what is not read, and the end behind it: until the login timeout.
    await until(lambda: not connected(receiver.port), receiver.limits.login_timeout + 10)


@pytest.mark.long
async def test_empty_packets_of_one_that_has_logged_in_fail_no_push_of_another(
    receiver: Any, open_target: Any, openssh: Any, until: Any, connected: Any, tmp_path: Path
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
    await until(lambda: not connected(receiver.port))


class Entered:
    """A context manager that was entered in another thread: starting a process waits for it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._inner = make()
        self._inner.__enter__()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._inner.__exit__(None, None, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: looks into a process that forbids it")
async def test_connections_beyond_its_descriptors_do_not_end_the_process(
    receiver: Any, receiving: Callable[[], list[int]], target: Any, openssh: Any
) -> None:
    # One that serves has set its own limits already; those of before it may not be set again.
    assert (await openssh.sftp(target, "pwd")).returncode == 0
    (process,) = receiving()[1:]
    room = len(os.listdir(f"/proc/{process}/fd")) + 4
    limit = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (room, limit[1]))
    with ExitStack() as stack:
        for _ in range(20):
            connected = socket.create_connection(("127.0.0.1", receiver.port), 10)
            stack.enter_context(connected)
        await trio.to_thread.run_sync(connected.recv, 1)  # the last is cut, or greeted
    resource.prlimit(process, resource.RLIMIT_NOFILE, limit)
    assert (await openssh.sftp(target, "pwd")).returncode == 0
    assert receiving()[1:] == [process]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: looks into a process that forbids it")
async def test_that_no_connection_can_be_accepted_is_said_whenever_it_begins(
    receiver: Any,
    receiving: Callable[[], list[int]],
    until: Any,
    target: Any,
    openssh: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await openssh.sftp(target, "pwd")).returncode == 0
    first = receiving()[0]
    limit = resource.prlimit(first, resource.RLIMIT_NOFILE)
    for seconds in (60.0, 0.0):  # without such an error; of the second time it is over
        monkeypatch.setattr("cucmd.worker.workers._SAID", seconds)
        caplog.clear()
        taken = set(map(int, os.listdir(f"/proc/{first}/fd")))
        resource.prlimit(first, resource.RLIMIT_NOFILE, (min(set(range(999)) - taken), limit[1]))
        with socket.create_connection(("127.0.0.1", receiver.port), 10):
            await until(lambda: "cannot accept connections" in caplog.text)
            resource.prlimit(first, resource.RLIMIT_NOFILE, limit)
        assert (await openssh.sftp(target, "pwd")).returncode == 0
