"""Many nodes behind one address push at once, beside strangers; and a node pushes over IPv6."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

# Each node is an `sftp` process. A large cluster has 200.
NODES = int(os.environ.get("CUCMD_NODES", "12"))
STRANGERS = 448
SIZE = 3_000_000

pytestmark = pytest.mark.long


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.9"], ids=["expected", "behind a NAT"])
async def test_crowd_of_one_address(
    receiver: Any, open_target: Any, openssh: Any, log: Path, address: str
) -> None:
    targets = [open_target(receiver, str(number), address=address) for number in range(NODES)]

    async def push(target: Any) -> None:
        done = await openssh.run(
            openssh.command("sftp", target, "-q", "-b", "-"), target, f"put {log} a\n"
        )
        assert done.returncode == 0, done.stderr

    with trio.fail_after(60 + NODES):
        async with trio.open_nursery() as nursery:
            for target in targets:
                nursery.start_soon(push, target)
    expected = sha256(log.read_bytes()).hexdigest()
    for target in targets:
        (file,) = target.target.files()
        assert (file.size, file.sha256, file.closed) == (SIZE, expected, True)
        assert target.target.refused == 0
        await target.target.aclose()


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.9"], ids=["expected", "behind a NAT"])
async def test_node_pushes_beside_idle_strangers(
    open_with: Any, open_target: Any, openssh: Any, connected: Any, log: Path, address: str
) -> None:
    def connect_all(stack: ExitStack, port: int) -> None:
        for number in range(STRANGERS):
            source = (f"127.0.{number % 100}.9", 0)
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60, source))

    # The long login timeout keeps the strangers connected, however slow this machine is.
    async with open_with(login_timeout=600) as receiver:
        target = open_target(receiver, address=address)
        with ExitStack() as stack:
            await trio.to_thread.run_sync(connect_all, stack, receiver.port)
            assert connected(receiver.port) > receiver.limits.unauthenticated
            done = await openssh.sftp(target, f"put {log} a\n")
            assert done.returncode == 0, done.stderr
    (file,) = target.target.files()
    assert (file.size, file.closed, target.target.refused) == (SIZE, True, 0)


def no_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return True
    return False


@pytest.mark.skipif(no_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("address", ["::1", "192.0.2.9"], ids=["expected", "another"])
async def test_node_pushes_over_ipv6(
    open_with: Any, open_target: Any, openssh: Any, log: Path, address: str
) -> None:
    async with open_with(host="::1") as receiver:
        target = open_target(receiver, address=address)
        done = await openssh.sftp(target, f"put {log} a\n", "-oHostName=::1")
        assert done.returncode == 0, done.stderr
        assert [file.closed for file in target.target.files()] == [True]
        await target.target.aclose()
