"""Tests a session on the vendor's own mock of a node, behind OpenSSH's sshd.

The mock is part of unicon. It reads keys on a terminal in raw mode, where Enter is CR, and asks for
the position of the cursor before each prompt.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from cucmd.node.dialogue import NodeSession, close_session
from cucmd.node.transcript_file import TranscriptFile
from cucmd.ssh.bridge import open_bridge
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.node_login import Steps
from cucmd.ssh.shell import open_shell
from cucmd.vos import Cli, CommandDone
from cucmd.vos.arguments import COLUMNS
from rig import openssh_node, unicon_client
from rig.openssh_node import OpenSshNode
from rig.scripted_target import WritesAtOnce

reason = openssh_node.reason_to_skip() or unicon_client.reason_to_skip()
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))

# Seconds. The mock does not know `quit`, so the daemon waits for half of them.
GRACE = 1.0


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[OpenSshNode]:
    tests = Path(openssh_node.__file__).parents[1]
    command = ["env", f"PYTHONPATH={tests}", sys.executable, "-m", "rig.unicon_client", "mock"]
    folder = tmp_path / "node"
    with openssh_node.openssh_node(folder, "127.3.1.1", command=shlex.join(command)) as node:
        yield node


@asynccontextmanager
async def logged_in(node: OpenSshNode, folder: Path) -> AsyncIterator[NodeSession]:
    host, port = node.address.split(":")
    secrets = (node.password,)
    path = folder / "transcript.log"
    transcript = TranscriptFile(path, host, secrets, lambda _descriptor: None, WritesAtOnce())
    with trio.fail_after(60):
        async with open_bridge(), transcript:
            shell = await open_shell(
                *(host, int(port), node.username, node.password),
                *(Policy(), KnownHosts(folder / "known_hosts"), Steps(lambda _phase: None)),
                columns=COLUMNS,
                mask=str,
            )
            session = NodeSession(shell, transcript, Cli(secrets))
            try:
                await session.wait_for_prompt()
                yield session
            finally:
                await close_session(session, GRACE)


async def output(session: NodeSession, command: str) -> list[str]:
    await session.command(command)
    event = await session.next_event()
    assert isinstance(event, CommandDone)
    return list(event.lines)


async def test_commands_pagers_and_refusals(mock: OpenSshNode, tmp_path: Path) -> None:
    async with logged_in(mock, tmp_path) as session:
        assert await output(session, "set cli pagination off") == []
        assert await output(session, "some command") == ["some output"]
        # Three pagers, each of which takes one key.
        shown = await output(session, "show tech dbstateinfo")
        assert shown[0] == "------------------------ Show tech dbstateinfo -------------------"
        assert "Output is in /cm/trace/dbl/showtechdbstateinfo211506.txt" in shown
        assert shown[-1].startswith('Please use "file view activelog /cm/trace/dbl/')
        assert not any("Press <enter>" in line for line in shown)
        refused = await output(session, "file list activelog syslog")
        assert refused[0] == "% Invalid command 'file list activelog syslog'"
        assert await output(session, "some other command") == ["some other output"]
