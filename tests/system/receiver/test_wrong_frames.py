"""A process that receives says what cannot be: it is killed, and nothing of it is believed. What it
has said before its end is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.failure import Code
from rig.worker_processes import told_by_a_client
from rig.worker_roles import LIES


@pytest.fixture
def role() -> str:
    return "lie"


@pytest.mark.parametrize("lie", LIES)
async def test_it_is_killed(
    receiver: Any, tmp_path: Path, until: Any, caplog: pytest.LogCaptureFixture, lie: str
) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="one")
    async with told_by_a_client(receiver, target, lie):
        await until(lambda: "a process that served one has ended" in caplog.text, 30)
    assert "(71)" not in caplog.text, "it was killed, and has not failed by itself"
    assert not any(file.closed for file in target.files())
    assert target.refusal.code is Code.RECEIVER_LOST
    with trio.fail_after(30):
        await target.wait_files_closed()
        await target.aclose()


async def test_others_are_not_failed(
    receiver: Any, tmp_path: Path, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = (receiver.open_upload_target(tmp_path / name, name=name) for name in ("a", "b"))
    async with told_by_a_client(receiver, one, "another frame"):
        await until(lambda: "has ended" in caplog.text)
    assert one.refusal.retryable
    assert other.refusal is None


@pytest.mark.parametrize("role", ["end_with_a_file"])
async def test_what_it_said_before_counts(receiver: Any, tmp_path: Path, until: Any) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    async with told_by_a_client(receiver, target):
        await until(lambda: target.refusal is not None)
    assert [file.closed for file in target.files()] == [True]
    await target.aclose()


@pytest.mark.parametrize("role", ["end_without_a_word"])
async def test_an_unfinished_file_is_on_record(receiver: Any, tmp_path: Path, until: Any) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    async with told_by_a_client(receiver, target):
        await until(lambda: target.refusal is not None)
    await target.aclose()
    assert [(one.path, one.size, one.closed) for one in target.files()] == [("x", 3, False)]


@pytest.mark.parametrize("role", ["end_with_a_file"])
async def test_its_lines_in_the_log_are_limited(
    receiver: Any, tmp_path: Path, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    async with told_by_a_client(receiver, target):
        await until(target.files)
    await target.aclose()
    assert caplog.text.count("word ") == 30


@pytest.mark.parametrize("role", ["never_log_in"])
async def test_one_that_never_logs_in_is_killed(open_with: Any, receiving: Any, until: Any) -> None:
    async with open_with(login_timeout=0.2) as receiver:
        async with await trio.open_tcp_stream("127.0.0.1", receiver.port) as stream:
            assert await stream.receive_some() == b""
        await until(lambda: len(receiving()) == 1)
