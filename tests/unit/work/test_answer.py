"""The answer to a plain command, of a node that prints more than anybody reads, or where what reads
it ends before its work is done.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from cucmd import vos
from cucmd.failure import Code, NodeFailed
from cucmd.job.collect import Collect
from cucmd.job.health import CHECKS, UNREAD, HealthCheck
from cucmd.vos.secrets import MASK
from cucmd.work.capture import capture
from cucmd.work.health import health
from rig.scripted_node import (
    RecordedReport,
    answers,
    appliance,
    check_task,
    checked,
    collected,
    discovered,
    discovery_task,
    node_task,
    pushes,
    scripted,
)
from rig.scripted_target import Readers
from unit.work.capture_node import CaptureNode

MEMBER = "192.0.2.9 pub.example.org pub Publisher cups DBPub authenticated"


async def product(table: list[str], folder: Path) -> str | None:
    async with scripted(answers({vos.SHOW_CLUSTER: table})) as node:
        _, report = await checked(node, check_task(folder))
    assert report.last_checked is not None
    return report.last_checked.product


async def test_lines_beyond_those_that_are_read_at_once_are_not_read(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    others = ["x" * 1000] * 60
    assert await product([*others, MEMBER], tmp_path / "a") == "cups"
    assert await product([*others, *["x"] * 30, MEMBER], tmp_path / "b") is None


WHY = "it took more than its memory"


class Unread(Readers):
    """Reads nothing, and says why. masked: what its process would have been given."""

    def __init__(self) -> None:
        self.masked: list[str] = []

    async def read_answer(
        self,
        parser: Callable[[Sequence[str]], Any],
        lines: Sequence[str],
        where: Path,
        mask: Callable[[str], str] = str,
    ) -> str:
        await trio.lowlevel.checkpoint()
        self.masked += map(mask, lines)
        return WHY


async def test_where_it_cannot_be_read_a_check_says_why_and_goes_on(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = check_task(tmp_path)
    said = {vos.SHOW_CLUSTER: [MEMBER, f"it is {task.login.password}"]}
    async with scripted(answers(said)) as node:
        node.readers = unread = Unread()
        notes, report = await checked(node, task)
    assert (report.last_checked.product, report.last_checked.zone) == (None, None)
    assert [WHY in note for note in notes] == [True] * 3, "status, version, product"
    assert unread.masked[-2:] == [MEMBER, f"it is {MASK}"]


async def test_a_check_that_cannot_read_what_is_there_to_get_says_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers({})) as node:
        node.readers = Unread()
        with pytest.raises(NodeFailed, match=WHY) as caught:
            await checked(node, check_task(tmp_path, receiver=True))
    assert caught.value.failure.code == Code.NO_FILES_MATCHED


async def test_a_discovery_that_cannot_read_the_cluster_says_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers({vos.SHOW_CLUSTER: [MEMBER]})) as node:
        node.readers = Unread()
        with pytest.raises(NodeFailed, match=WHY) as caught:
            await discovered(node, discovery_task(tmp_path))
    assert caught.value.failure.code == Code.COMMAND_REFUSED


class VersionUnread(Unread):
    """Reads all but the version."""

    async def read_answer(
        self,
        parser: Callable[[Sequence[str]], Any],
        lines: Sequence[str],
        where: Path,
        mask: Callable[[str], str] = str,
    ) -> Any:
        if parser is vos.parse_version_active:
            return await super().read_answer(parser, lines, where, mask)
        return await Readers.read_answer(self, parser, lines, where, mask)


async def test_a_discovery_that_cannot_read_the_version_says_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers({vos.SHOW_CLUSTER: [MEMBER]})) as node:
        node.readers = VersionUnread()
        notes, report = await discovered(node, discovery_task(tmp_path))
    assert report.last_found.version is None
    assert [WHY in note for note in notes] == [True]


async def test_a_capture_does_not_begin_where_the_room_cannot_be_read_and_says_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()
    async with scripted(here.script) as node:
        node.readers = Unread()
        with pytest.raises(NodeFailed, match=WHY) as caught:
            await capture(task, task.work, node, RecordedReport())
    assert caught.value.failure.code == Code.COMMAND_REFUSED
    assert here.captures == 0


async def test_a_collection_whose_window_is_widened_for_it_says_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    window = Collect(("syslog",), since=datetime(2026, 7, 1, 6, tzinfo=UTC))
    async with scripted(appliance(pushes(1))) as node:
        node.readers = Unread()
        notes, report = await collected(node, node_task(tmp_path, work=window))
    assert [WHY in note for note in notes] == [True]
    assert report.clocks == [(None, 0.0)]


async def test_a_look_at_a_node_says_that_it_is_unread_and_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task, report = node_task(tmp_path / "n", work=HealthCheck()), RecordedReport()
    said = {line: [f"of {task.login.password}"] for lines in CHECKS.values() for line in lines}
    async with scripted(answers(said)) as node:
        node.readers = unread = Unread()
        await health(task, task.work, node, report)
    findings = report.results[-1].findings
    assert {(one.state, one.says) for one in findings} == {(UNREAD, WHY)}
    assert {one.check for one in findings} == set(CHECKS) - {"availability"}
    assert set(unread.masked) == {f"of {MASK}"}
