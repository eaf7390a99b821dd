"""A node is checked: what is seen at each step, and what follows from it. On virtual time."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd import vos
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.check import Checked
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import NodeTask, Retry
from cucmd.work.check import check
from rig.scripted_node import (
    Node,
    RecordedReport,
    answers,
    check_task,
    checked,
    pushes,
    scripted,
)

BERLIN = ZoneInfo("Europe/Berlin")
PUB = "192.0.2.9 pub.example.org pub Publisher cups DBPub authenticated"
VERSION = ["Active Master Version: 15.0.1.11900-40", "No Installed Software Options Found."]
LISTING = "file list activelog platform/log detail"
SYSLOG = "file list activelog syslog detail"
FILES = [
    "02 Nov,2026 12:00:59        <dir>  old",
    "25 Nov,2026 21:45:43          300  cli00074.log",
    "24 Nov,2026 21:45:43       47,916  servm00074.log",
    "24 Nov,2026 21:45:43            0  empty.log",
    "26 Nov,2026 21:45:43            7  cli00075.log",
    "dir count = 1, file count = 4",
]
SMALL = "file get activelog platform/log/cli00074.log"
SEEN = Checked(
    reachable=True,
    host_key="known",
    login=True,
    prompt=True,
    product="cups",
    version="15.0.1.11900-40",
    zone="Europe/Berlin",
    clock_ahead=0.0,
    logging_total=1000 * 1024,
    logging_free=500 * 1024,
    receiver="not_asked",
)


def status(
    *, ahead: timedelta = timedelta(), zone: str = "(Europe/Berlin)", used: int = 50
) -> list[str]:
    local = (datetime.now(UTC) + ahead).astimezone(BERLIN)
    return [
        f"Date               : {local:%a %b %d, %Y %H:%M:%S}",
        f"Time Zone          : CET {zone}",
        f"Disk/logging        1000K       {1000 - 10 * used}K       {10 * used}K ({used}%)",
    ]


def healthy(**others: object) -> dict:
    return {
        vos.SHOW_STATUS: status(),
        vos.SHOW_VERSION: VERSION,
        vos.SHOW_CLUSTER: [PUB],
        LISTING: FILES,
        SMALL: pushes(300),
        **others,
    }


async def seen_on(
    said: dict, folder: Path, *, knew_key: bool = True, **fields: object
) -> tuple[tuple[str, ...], Checked]:
    async with scripted(answers(said)) as node:
        notes, report = await checked(node, check_task(folder, **fields), knew_key=knew_key)
    assert report.last_checked is not None
    assert node.closed == node.opened == 1
    return notes, report.last_checked


async def failed(
    said: dict, folder: Path, refusals: Sequence[Failure] = (), **fields: object
) -> tuple[Failure, Checked | None]:
    report = RecordedReport()
    async with scripted(answers(said)) as node:
        node.refusals = list(refusals)
        with pytest.raises(NodeFailed) as caught:
            await checked(node, check_task(folder, **fields), report)
        assert node.closed == node.opened
        assert all(target.closed for target in node.targets)
    assert caught.value.failure.hint
    return caught.value.failure, report.last_checked


async def never(node: Node, line: str) -> None:
    await trio.sleep_forever()


async def test_what_a_healthy_node_shows(tmp_path: Path, autojump_clock: MockClock) -> None:
    notes, seen = await seen_on(healthy(), tmp_path)
    assert notes == ()
    assert seen.clock_ahead is not None
    assert abs(seen.clock_ahead) <= 2  # the time of the test itself
    assert seen == replace(SEEN, clock_ahead=seen.clock_ahead)


async def test_it_types_nothing_but_these_commands_and_opens_no_way_to_the_receiver(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers(healthy())) as node:
        _, report = await checked(node, check_task(tmp_path))
    asked = [vos.PAGER_OFF, vos.SHOW_STATUS, vos.SHOW_VERSION, vos.SHOW_CLUSTER]
    assert node.lines == [*asked, "quit"]
    assert node.targets == []
    assert report.phases == [Phase.LOGIN, Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]


@pytest.mark.parametrize(
    ("policy", "knew_key", "said"),
    [
        ("accept-new", True, "known"),
        ("accept-new", False, "new"),
        ("strict", True, "known"),
        ("off", True, "unchecked"),
        ("off", False, "unchecked"),
    ],
)
async def test_whether_the_host_key_was_known_before(
    policy: str, knew_key: bool, said: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    _, seen = await seen_on(healthy(), tmp_path, knew_key=knew_key, host_keys=policy)
    assert seen.host_key == said


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        (Code.CONNECT_TIMEOUT, Checked(reachable=False)),
        (Code.HOST_KEY_CHANGED, Checked(host_key="changed")),
        (Code.HOST_KEY_UNKNOWN, Checked(host_key="unknown")),
    ],
)
async def test_what_is_seen_of_a_node_that_cannot_be_logged_in_to(
    code: Code, seen: Checked, tmp_path: Path, autojump_clock: MockClock
) -> None:
    why, last = await failed(healthy(), tmp_path, [failure(code, "no")])
    assert why.code is code
    assert last == replace(seen, receiver="not_asked")


async def test_a_login_that_fails_once_the_key_is_accepted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    why, seen = await attempted(tmp_path, [Code.AUTH_FAILED])
    assert why is Code.AUTH_FAILED
    assert seen == Checked(reachable=True, host_key="known", login=False)


async def test_a_prompt_that_does_not_come(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def question(node: Node) -> None:
        await node.say("Current password: ", end="")
        await trio.sleep_forever()

    report = RecordedReport()
    async with scripted(question) as node:
        with pytest.raises(NodeFailed) as caught:
            await checked(node, check_task(tmp_path), report)
    assert caught.value.failure.code == Code.LOGIN_QUESTION
    assert report.last_checked == Checked(
        reachable=True, host_key="known", login=True, prompt=False, receiver="not_asked"
    )


async def test_what_is_seen_is_that_of_the_last_attempt(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    why, seen = await attempted(tmp_path, [Code.CONNECTION_LOST, Code.CONNECTION_REFUSED])
    assert why is Code.CONNECTION_REFUSED
    assert seen == Checked(reachable=False)


async def attempted(folder: Path, codes: Sequence[Code]) -> tuple[Code, Checked | None]:
    """Checks a node of which the first attempt comes to the login, and each fails with its code."""
    task = replace(check_task(folder, receiver=True), retry=Retry(len(codes), 1, 15))
    left, report = list(codes), RecordedReport()

    async def open_shell(task: NodeTask, on_connected, on_phase, mask, report) -> Node:
        await trio.lowlevel.checkpoint()
        code = left.pop(0)
        if len(left) == len(codes) - 1:
            on_connected()
            on_phase(Phase.LOGIN)
        raise NodeFailed(failure(code, "no"))

    async with scripted(answers({})) as node:
        node.open_shell = open_shell
        with pytest.raises(NodeFailed) as caught:
            await check(task, task.work, node, report)
    assert left == []
    return caught.value.failure.code, report.last_checked


@pytest.mark.parametrize("command", [vos.PAGER_OFF, vos.SHOW_STATUS, vos.SHOW_VERSION])
async def test_a_node_that_does_not_answer_fails_and_what_came_before_stays(
    command: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    why, seen = await failed(healthy(**{command: never}), tmp_path, timeouts=Timeouts(answer=17))
    assert why.code == Code.COMMAND_TIMEOUT
    assert seen is not None
    assert (seen.prompt, seen.version) == (True, None)
    assert (seen.logging_free is not None) == (command == vos.SHOW_VERSION)


# Made when the test runs: the clock of the node is that of this moment.
ODD: dict[str, Callable[[], dict[str, list[str]]]] = {
    "ahead": lambda: {vos.SHOW_STATUS: status(ahead=timedelta(minutes=7))},
    "behind": lambda: {vos.SHOW_STATUS: status(ahead=timedelta(days=-30))},
    "no zone": lambda: {vos.SHOW_STATUS: status(zone="")},
    "no date": lambda: {vos.SHOW_STATUS: status()[1:]},
    "full": lambda: {vos.SHOW_STATUS: status(used=95)},
    "no partition": lambda: {vos.SHOW_STATUS: status()[:2]},
    "no version": lambda: {vos.SHOW_VERSION: ["Executed command unsuccessfully"]},
}


@pytest.mark.parametrize("odd", ODD)
async def test_what_is_not_as_it_should_be_is_a_note_and_no_failure(
    odd: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    notes, _ = await seen_on(healthy(**ODD[odd]()), tmp_path)
    assert len(notes) == 1


async def test_a_clock_that_is_decades_off_is_said_as_the_node_shows_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = ["Date : Thu Jan 01, 1970 00:15:59", *status()[1:]]  # an empty battery
    notes, seen = await seen_on(healthy(**{vos.SHOW_STATUS: said}), tmp_path)
    assert (seen.clock_ahead, ["1970-01-01 00:15" in one for one in notes]) == (None, [True])


@pytest.mark.parametrize(
    ("said", "off"),
    [(timedelta(minutes=7), 420), (timedelta(days=-30), -2_592_000), (timedelta(seconds=90), 90)],
)
async def test_by_how_many_seconds_the_clock_is_off(
    said: timedelta, off: float, tmp_path: Path, autojump_clock: MockClock
) -> None:
    notes, seen = await seen_on(healthy(**{vos.SHOW_STATUS: status(ahead=said)}), tmp_path)
    assert seen.clock_ahead is not None
    assert abs(seen.clock_ahead - off) <= 2
    assert len(notes) == (abs(off) > 120)


@pytest.mark.parametrize(
    "table",
    [
        ["ID  Hostname  IPv4  Type", "1  cuc1  10.0.0.1  Publisher"],
        ["192.0.2.9 pub Publisher authenticated"],
    ],
)
async def test_a_table_in_a_form_without_products_leaves_the_product_open(
    table: list[str], tmp_path: Path, autojump_clock: MockClock
) -> None:
    notes, seen = await seen_on(healthy(**{vos.SHOW_CLUSTER: table}), tmp_path)
    assert (notes, seen.product) == ((), None)


async def test_the_password_is_in_nothing_that_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {
        vos.SHOW_CLUSTER: [PUB.replace("cups", "PlatformSecret")],
        vos.SHOW_VERSION: ["Active Master Version: PlatformSecret"],
    }
    notes, seen = await seen_on(healthy(**said), tmp_path)
    assert "PlatformSecret" not in f"{notes} {seen} {(tmp_path / 'transcript.log').read_text()}"
