"""The answer to a plain command, of a node that prints more than anybody reads."""

from pathlib import Path

from trio.testing import MockClock

from cucmd import vos
from rig.scripted_node import (
    answers,
    check_task,
    checked,
    scripted,
)

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
