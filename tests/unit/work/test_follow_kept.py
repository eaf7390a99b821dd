"""What is kept of a file that is followed: over several tries, and as its job shows it."""

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


async def test_another_try_goes_on_behind_what_an_earlier_one_has_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = follow_task(tmp_path)
    await followed(node_that(says(*LINES)), task)
    with (task.folder / OUTPUT).open("a") as file:
        file.write("killed in the mid")
    notes, _, report = await followed(node_that(says(*LINES)), follow_task(tmp_path))
    assert kept(task) == [*LINES, "killed in the mid", *LINES]
    assert len(notes) == 2
    (file,) = report.written
    assert report.grown == file.size
    content = (task.folder / OUTPUT).read_bytes()
    assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


async def test_a_refusal_below_many_lines_is_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    task = follow_task(tmp_path)
    said = (*LINES, "Executed command unsuccessfully", "")
    failure, _, report = await failed(node_that(says(*said)), task)
    assert failure.code is Code.COMMAND_REFUSED
    assert "unsuccessfully" in failure.message
    assert not report.written[0].complete
