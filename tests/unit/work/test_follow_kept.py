"""What is kept of a file that is followed, over several tries."""

import hashlib
from pathlib import Path

from trio.testing import MockClock

from cucmd.failure import Code
from unit.work.test_follow_node import (
    LINES,
    OUTPUT,
    failed,
    follow_task,
    followed,
    kept,
    node_that,
    says,
)

SECOND = OUTPUT.replace(".txt", ".attempt-3.txt")


async def test_a_retry_begins_with_earlier_lines(tmp_path: Path, autojump_clock: MockClock) -> None:
    task = follow_task(tmp_path)
    await followed(node_that(says(*LINES)), task)
    with (task.folder / OUTPUT).open("a") as file:
        file.write("killed in the mid")
    again = follow_task(tmp_path, first_attempt=3)
    notes, _, report = await followed(node_that(says(*LINES)), again)
    content = (task.folder / SECOND).read_bytes()
    assert content.decode().splitlines() == [*LINES, "killed in the mid", *LINES]
    assert len(notes) == 2
    (file,) = report.written
    assert (file.path, file.complete) == (f"cucm-pub/{SECOND}", True)
    assert report.grown == file.size
    assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


async def test_a_failed_retry_keeps_the_followed_file(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = follow_task(tmp_path)
    _, _, first = await followed(node_that(says(*LINES)), task)
    said = (*LINES, "Executed command unsuccessfully", "")
    again = follow_task(tmp_path, first_attempt=3)
    _, _, report = await failed(node_that(says(*said)), again)
    assert kept(task) == list(LINES)
    (complete,), (incomplete,) = first.written, report.written
    assert (complete.complete, incomplete.complete) == (True, False)
    assert incomplete.path == f"cucm-pub/{SECOND}" != complete.path


async def test_a_refusal_below_many_lines_is_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    task = follow_task(tmp_path)
    said = (*LINES, "Executed command unsuccessfully", "")
    failure, _, report = await failed(node_that(says(*said)), task)
    assert failure.code == Code.COMMAND_REFUSED
    assert "unsuccessfully" in failure.message
    assert not report.written[0].complete
