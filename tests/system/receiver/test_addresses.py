"""Each connection has a process of its own, whose end fails no other login."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import trio

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from rig import sftp_words as words

pytestmark = pytest.mark.long


PUT = "put /etc/hostname a\n"


async def test_killed_process_fails_one_login(
    receiver: Any, open_target: Any, other: Any, receiving: Any, until: Any
) -> None:
    quota = Quota(node=Allowance(100_000_000), job=Allowance(200_000_000))
    lost, stays = open_target(receiver, "lost", quota), open_target(receiver, "stays")

    def push() -> None:
        with other.raw_sftp(stays) as beside:
            known = set(receiving())
            with other.raw_sftp(lost) as raw:
                whole = raw.ask(words.open_file(1, b"whole")).handle
                raw.ask(words.on_handle(words.PacketType.CLOSE, 2, whole))
                cut = raw.ask(words.open_file(3, b"cut")).handle
                raw.ask(words.write(4, cut, 0, b"12345"))
                [victim] = set(receiving()) - known
                os.kill(victim, signal.SIGKILL)
            assert beside.ask(words.open_file(1, b"a")).handle

    await other.run(push)
    with trio.fail_after(30):
        await lost.target.wait_files_closed()
        await until(lambda: lost.target.refusal is not None)
        await lost.target.aclose()
    assert lost.target.refusal.code == Code.RECEIVER_LOST
    assert lost.target.refusal.retryable
    files = lost.target.files()
    assert [(file.path, file.size, file.closed) for file in files] == [
        ("whole", 0, True),
        ("cut", 5, False),
    ]
    assert stays.target.refusal is None
    assert (quota.node.left, quota.job.left) == (100_000_000 - 5, 200_000_000 - 5)
