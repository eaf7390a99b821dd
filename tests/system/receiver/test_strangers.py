"""Attacks before the login fail no push of a node."""

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


async def test_flood_before_login_is_not_read(
    open_with: Any, open_target: Any, openssh: Any, other: Any, until: Any, connected: Any
) -> None:
    def flood(connection: socket.socket) -> None:
        connection.setblocking(False)
        with suppress(BlockingIOError):  # raised when the buffers of both kernels are full
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
async def test_attack_fails_no_push(
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
    # The receiver does not read the rest, nor the end behind it, until the login timeout.
    await until(lambda: not connected(receiver.port), receiver.limits.login_timeout + 10)


class Entered:
    """Enters a context manager in another thread, because starting a process blocks."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._inner = make()
        self._inner.__enter__()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._inner.__exit__(None, None, None)


async def test_failed_accept_is_logged_once(
    receiver: Any, until: Any, target: Any, openssh: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        # A connection that ends now would make room for the client.
        await until(lambda: receiver.connection_count == 0)
        caplog.clear()
        with socket.socket() as client:
            client.setblocking(False)
            with descriptors_left(0):
                client.connect_ex(("127.0.0.1", receiver.port))
                await until(lambda: "cannot accept connections" in caplog.text)
            assert (await openssh.sftp(target, "pwd")).returncode == 0
    assert caplog.text.count("cannot accept connections") == 1
