"""A process of a connection that lies is killed, and what it reported before its end counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.failure import Code
from rig.worker_processes import connect_and_tell
from rig.worker_roles import LIES


@pytest.fixture
def role() -> str:
    return "lie"


async def test_liar_is_killed(
    receiver: Any, tmp_path: Path, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    other = receiver.open_upload_target(tmp_path / "other", name="other")
    for lie in LIES:
        caplog.clear()
        target = receiver.open_upload_target(tmp_path / lie, name="one")
        async with connect_and_tell(receiver, target, lie):
            await until(lambda: "a process that served one has ended" in caplog.text, 30)
        assert "(71)" not in caplog.text, f"{lie}: it was not killed, but has failed by itself"
        assert not any(file.closed for file in target.files()), lie
        assert (target.refusal.code, target.refusal.retryable) == (Code.RECEIVER_LOST, True), lie
        with trio.fail_after(30):
            await target.wait_files_closed()
            await target.aclose()
    assert other.refusal is None


@pytest.mark.parametrize("role", ["end_with_a_file"])
async def test_reports_before_the_end_count(
    receiver: Any, tmp_path: Path, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    async with connect_and_tell(receiver, target):
        await until(lambda: target.refusal is not None)
    assert [file.closed for file in target.files()] == [True]
    assert caplog.text.count("word ") == 30, "the lines of the processes in the log are limited"
    await target.aclose()


@pytest.mark.parametrize("role", ["end_without_a_word"])
async def test_open_file_is_measured(receiver: Any, tmp_path: Path, until: Any) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    async with connect_and_tell(receiver, target):
        await until(lambda: target.refusal is not None)
    await target.aclose()
    assert [(file.path, file.size, file.closed) for file in target.files()] == [("x", 3, False)]


@pytest.mark.parametrize("role", ["never_log_in"])
async def test_process_without_login_is_killed(open_with: Any, receiving: Any, until: Any) -> None:
    async with open_with(login_timeout=0.2) as receiver:
        async with await trio.open_tcp_stream("127.0.0.1", receiver.port) as stream:
            assert await stream.receive_some() == b""
        await until(lambda: len(receiving()) == 1)
