"""A process that receives says what cannot be: it is killed, and nothing of it is believed. What it
has said before its end is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.failure import Code
from cucmd.receiver.processes import RECEIVE
from cucmd.worker.workers import Workers, open_workers
from rig.worker_processes import wait_ready
from rig.worker_roles import LIES


@pytest.fixture
def role() -> str:
    return "lie"


@pytest.fixture
async def workers(tmp_path: Path, role: str) -> AsyncIterator[Workers]:
    tests = str(Path(__file__).parents[2])
    roles = {RECEIVE: f"rig.worker_roles:{role}"}
    async with open_workers(tmp_path, roles, more_modules=tests) as opened:
        await wait_ready(opened)
        yield opened


async def connect_until(receiver: Any, condition: Callable[[], object]) -> None:
    """Its process is forked at the first connection, and so is the next one."""
    with trio.fail_after(30):
        while not condition():
            async with await trio.open_tcp_stream("127.0.0.1", receiver.port) as stream:
                with trio.move_on_after(0.1), suppress(trio.BrokenResourceError):
                    await stream.receive_some(1)  # its end, if it ends


@pytest.mark.parametrize("lie", LIES)
async def test_it_is_killed(
    receiver: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, lie: str
) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name=lie)
    await connect_until(
        receiver, lambda: caplog.text.count("a process that receives has ended") >= 2
    )
    assert "(71)" not in caplog.text, "it was killed, and has not failed by itself"
    assert not any(file.closed for file in target.files())
    assert target.bytes_received == 0
    with trio.fail_after(30):
        await target.wait_files_closed()
        await target.aclose()


@pytest.mark.parametrize("role", ["end_with_a_file"])
async def test_what_it_said_before_its_end_is_read_where_a_write_notices_that(
    receiver: Any, tmp_path: Path, until: Any, receiving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cucmd.worker.process.Worker.wait", wait_for_ever)
    await connect_until(receiver, lambda: len(receiving()) == 2)
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    await until(lambda: len(receiving()) == 1)
    target.revoke()
    await until(lambda: [file.closed for file in target.received.files()] == [True])
    await target.aclose()


@pytest.mark.parametrize("role", ["forget_nothing"])
async def test_one_that_does_not_end_a_login_is_killed_and_the_others_may_be_tried_again(
    receiver: Any, tmp_path: Path
) -> None:
    """It is so where a disk takes more than a second for the last write."""
    ended, other = (
        receiver.open_upload_target(tmp_path / name, name=name) for name in ("ended", "other")
    )
    await connect_until(receiver, lambda: ended.logins == other.logins == 1)
    with trio.fail_after(30):
        await ended.aclose()
    assert (other.refusal.code, other.refusal.retryable) == (Code.RECEIVER_LOST, True)
    assert ended.refusal is None
    with trio.fail_after(30):
        await other.aclose()


@pytest.mark.parametrize("role", ["end_without_a_word"])
async def test_a_file_of_which_it_said_nothing_before_its_end_is_on_record(
    receiver: Any, tmp_path: Path
) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    await connect_until(receiver, lambda: len(target.files()) == 1)
    await target.aclose()
    assert [(one.path, one.size, one.closed) for one in target.files()] == [("x", 3, False)]


async def wait_for_ever(*_: object) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("role", ["end_with_a_file"])
async def test_it_does_not_decide_how_many_lines_it_gets_in_the_log(
    receiver: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name="x")
    await connect_until(receiver, lambda: len(target.files()) == 1)
    await target.aclose()
    assert caplog.text.count("word ") == 30
