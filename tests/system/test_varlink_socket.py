"""Tests the Varlink server on real Unix sockets: who calls, and how it accepts connections."""

import json
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
import trio.testing

from rig.example_interface import NAME, Example
from rig.others import needs_root
from rig.readable_python import readable_python
from rig.varlink_peer import WHO, connected, serving


async def who(path: Path, **identity: object) -> dict:
    python = readable_python()
    result = await trio.run_process(
        [python.program, "-c", WHO, str(path), NAME],
        capture_stdout=True,
        env=python.environ,
        **identity,
    )
    return json.loads(result.stdout)["parameters"]


async def test_kernel_identifies_caller(socket_path: Path) -> None:
    async with serving(socket_path, Example()), connected(socket_path) as peer:
        caller = (await peer.call("Who"))["parameters"]
    assert caller == {
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "groups": sorted(set(os.getgroups())),
        "pid": os.getpid(),
    }


@pytest.mark.long
@needs_root
@pytest.mark.parametrize(("count", "known"), [(0, 0), (1, 1), (256, 256), (257, 0), (2000, 0)])
async def test_up_to_256_groups_are_known(socket_path: Path, count: int, known: int) -> None:
    groups = list(range(70_000, 70_000 + count))
    async with serving(socket_path, Example()):
        socket_path.parent.parent.chmod(0o755)
        caller = await who(socket_path, user=65_001, group=65_002, extra_groups=groups)
    assert (caller["uid"], caller["gid"], caller["groups"]) == (
        65_001,
        65_002,
        groups[:known],
    )


class Rounds(trio.abc.Instrument):
    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


async def test_connections_are_accepted_in_batches(socket_path: Path) -> None:
    """With one round for each, a peer that only connects and leaves would delay all others."""
    async with serving(socket_path, Example(), connections=1000), AsyncExitStack() as stack:
        for _ in range(200):
            waiting = socket.socket(socket.AF_UNIX)
            waiting.connect(str(socket_path))
            waiting.close()
        peer = await stack.enter_async_context(connected(socket_path))
        rounds = Rounds()
        trio.lowlevel.add_instrument(rounds)
        assert "parameters" in await peer.call("Who")
        trio.lowlevel.remove_instrument(rounds)
    assert rounds.count < 40
