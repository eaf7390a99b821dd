"""What a peer may do to the receiver before it has logged in, and what it costs its neighbours."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from rig import attackers
from rig.few_descriptors import descriptors_left

pytestmark = pytest.mark.long


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


async def test_that_nothing_can_be_accepted_is_said(
    receiver: Any, until: Any, target: Any, openssh: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        caplog.clear()
        with socket.socket() as client:
            client.setblocking(False)
            with descriptors_left(0):
                client.connect_ex(("127.0.0.1", receiver.port))
                await until(lambda: "cannot accept connections" in caplog.text)
            assert (await openssh.sftp(target, "pwd")).returncode == 0
    assert caplog.text.count("cannot accept connections") == 1
