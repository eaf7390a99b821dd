"""A node is checked: what is seen at each step, and what follows from it. On virtual time."""

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code, Failure, NodeFailed, failure
from cucmd.job.check import Checked
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import NodeTask, Retry
from cucmd.work.check import MOST_BYTES, check, smallest
from rig.scripted_node import (
    COMPLETED,
    Node,
    RecordedReport,
    announce,
    answers,
    check_task,
    checked,
    matches_nothing,
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


def test_a_key_that_an_earlier_attempt_has_made_known_was_new() -> None:
    before, now = Checked(host_key="new", login=False), Checked(host_key="known", login=True)
    assert now.after(before) == Checked(host_key="new", login=True)
    assert now.after(Checked(reachable=True).after(before)) == Checked(host_key="new", login=True)
    assert now.after(None) == now
    assert now.after(Checked(reachable=False)) == now
    for last in (Checked(host_key="changed"), Checked(reachable=False)):
        assert last.after(before) == last


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
    assert caught.value.failure.code is Code.LOGIN_QUESTION
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
    """A node of which the first attempt comes to the login, and each fails with its code."""
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
    assert why.code is Code.COMMAND_TIMEOUT
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
    assert why.code is Code.NO_FILES_MATCHED
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
    assert why.code is Code.QUOTA_EXCEEDED
    assert lines == ["n"]


@pytest.mark.parametrize("left", [0, 100])
async def test_a_quota_of_the_configuration_that_is_used_up_fails_it_as_a_collection(
    left: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    quota = Quota(Allowance(1000, 1000 - left), Allowance(0))
    why, _ = await failed(healthy(), tmp_path, receiver=True, quota=quota)
    assert why.code is Code.QUOTA_EXCEEDED
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
