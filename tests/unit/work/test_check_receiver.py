"""A check gets one small file, which shows that the node reaches the receiver."""

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.work.check import MOST_BYTES, smallest
from rig.scripted_node import (
    COMPLETED,
    Node,
    announce,
    answers,
    check_task,
    checked,
    matches_nothing,
    pushes,
    scripted,
)
from unit.work.test_check import FILES, LISTING, SMALL, SYSLOG, failed, healthy, never, seen_on

# The way to the receiver


async def test_one_small_file_shows_that_the_receiver_is_reached(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers(healthy())) as node:
        notes, report = await checked(node, check_task(tmp_path, receiver=True))
    assert notes == ()
    assert report.last_checked is not None
    assert report.last_checked.receiver == "ok"
    assert [line for line in node.lines if line.startswith("file ")] == [LISTING, SMALL]
    assert len(report.counted) == 1, "it is a file of the job"
    assert node.target.closed


async def test_a_small_file_that_is_cut_off_on_the_node_shows_it_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def file_get(node: Node, line: str) -> None:
        await announce(node, 1, 30)
        node.target.put(tmp_path, "cli.log.gz", gzip.compress(bytes(range(99)))[:30])
        await node.say(COMPLETED)

    _, seen = await seen_on(healthy(**{SMALL: file_get}), tmp_path, receiver=True)
    assert seen.receiver == "ok"


async def test_it_is_looked_for_in_another_folder_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {
        LISTING: ["no such file or directory can be found", "Executed command unsuccessfully"],
        SYSLOG: FILES,
        "file get activelog syslog/cli00074.log": pushes(300),
    }
    _, seen = await seen_on(healthy(**said), tmp_path, receiver=True)
    assert seen.receiver == "ok"


async def test_without_a_small_file_nothing_is_proven(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {LISTING: ["24 Nov,2026 21:45:43    2,000,000  big.log"]}
    why, seen = await failed(healthy(**said), tmp_path, receiver=True)
    assert why.code == Code.NO_FILES_MATCHED
    assert seen is not None
    assert (seen.receiver, seen.product) == ("failed", "cups")


async def silent(node: Node, line: str) -> None:
    await announce(node, 1, 300)
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("file_get", "code"),
    [
        (silent, Code.RECEIVER_UNREACHABLE),
        (matches_nothing, Code.NO_FILES_MATCHED),
        (pushes(299, announced=300), Code.TRANSFER_INCOMPLETE),
        (never, Code.COMMAND_TIMEOUT),
    ],
)
async def test_a_file_that_does_not_come_fails_the_node(
    file_get: object, code: Code, tmp_path: Path, autojump_clock: MockClock
) -> None:
    why, seen = await failed(healthy(**{SMALL: file_get}), tmp_path, receiver=True)
    assert why.code is code
    assert seen is not None
    assert (seen.receiver, seen.version) == ("failed", "15.0.1.11900-40")


async def test_a_file_that_is_not_small_is_declined_at_its_sizes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    lines: list[str] = []

    async def large(node: Node, line: str) -> None:
        await announce(node, 1, MOST_BYTES + 1, ("Would you like to proceed [y/n]?",))
        lines.append(node.lines[-1])

    why, _ = await failed(healthy(**{SMALL: large}), tmp_path, receiver=True)
    assert why.code == Code.QUOTA_EXCEEDED
    assert lines == ["n"]


@pytest.mark.parametrize("left", [0, 100])
async def test_a_quota_of_the_configuration_that_is_used_up_fails_it_as_a_collection(
    left: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    quota = Quota(Allowance(1000, 1000 - left), Allowance(0))
    why, _ = await failed(healthy(), tmp_path, receiver=True, quota=quota)
    assert why.code == Code.QUOTA_EXCEEDED
    assert "a check" not in why.message


def listed(*files: tuple[str, int]) -> list[vos.ListedFile]:
    at = datetime(2026, 11, 25)
    return [
        vos.ListedFile(name, size, at + timedelta(hours=number))
        for number, (name, size) in enumerate(files)
    ]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ((("b", 5), ("a", 5), ("c", 9)), "a"),
        ((("b", 5), ("a", 4)), "b"),  # the newest may be written now
        ((("a", 4),), "a"),
        ((("a", 0), ("b", MOST_BYTES + 1)), None),
        ((("a b", 5), ("a;b", 5), ("a*", 5), ("-a", 5), ("..", 5), ("ä", 5)), None),
        ((("a", MOST_BYTES), ("b", 0)), "a"),
        ((), None),
    ],
)
def test_which_file_it_is(files: tuple, name: str | None) -> None:
    assert smallest(listed(*files)) == name
