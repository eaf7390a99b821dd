"""The answer to a plain command, of a node that prints more than anybody reads, or where what reads
it ends before its work is done.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from cucmd import vos
from cucmd.job.health import CHECKS, UNREAD, HealthCheck
from cucmd.vos.secrets import MASK
from cucmd.work.health import health
from rig.scripted_node import RecordedReport, answers, check_task, checked, node_task, scripted
from rig.scripted_target import Readers

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


class Unread(Readers):
    """Its process has ended before it has said anything. masked: what it would have been given."""

    def __init__(self) -> None:
        self.masked: list[str] = []

    async def read_answer(
        self,
        parser: Callable[[Sequence[str]], Any],
        lines: Sequence[str],
        where: Path,
        mask: Callable[[str], str] = str,
    ) -> None:
        await trio.lowlevel.checkpoint()
        self.masked += map(mask, lines)


async def test_where_it_cannot_be_read_nothing_is_known_and_a_check_goes_on(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = check_task(tmp_path)
    said = {vos.SHOW_CLUSTER: [MEMBER, f"it is {task.login.password}"]}
    async with scripted(answers(said)) as node:
        node.readers = unread = Unread()
        notes, report = await checked(node, task)
    assert (report.last_checked.product, report.last_checked.zone) == (None, None)
    assert notes
    assert unread.masked[-2:] == [MEMBER, f"it is {MASK}"]


async def test_a_look_at_a_node_says_that_it_is_unread(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task, report = node_task(tmp_path / "n", work=HealthCheck()), RecordedReport()
    said = {line: [f"of {task.login.password}"] for lines in CHECKS.values() for line in lines}
    async with scripted(answers(said)) as node:
        node.readers = unread = Unread()
        await health(task, task.work, node, report)
    assert {one.state for one in report.results[-1].findings} == {UNREAD}
    assert {one.check for one in report.results[-1].findings} == set(CHECKS) - {"availability"}
    assert set(unread.masked) == {f"of {MASK}"}
