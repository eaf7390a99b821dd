"""A snapshot at the end of a collection: what is run and kept, and that nothing fails for it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.job.health import BAD, GOOD, UNREAD, HealthCheck
from cucmd.job.node import Phase
from cucmd.node.ports import NodeTask
from cucmd.vos.forms import SNAPSHOT
from rig.scripted_node import (
    Answer,
    Node,
    RecordedReport,
    Script,
    answers,
    collected,
    failed,
    matches_nothing,
    node_task,
    pushes,
    scripted,
)
from unit.work.test_cancel_anywhere import cancel_at_every_step

STATUS, VERSION, SERVICES, CORES = SNAPSHOT
PATH = "cm/trace/ccm/sdl"
GET = f"file get activelog {PATH}"
FIRST = "output/001-show-status.txt"


def snapshot_task(folder: Path, **fields: object) -> NodeTask:
    work = Collect((PATH,), snapshot=SNAPSHOT)
    return node_task(folder / "cucm-pub", **{"work": work, **fields})


def node_that(**said: Sequence[str] | Answer) -> Script:
    names = {"status": STATUS, "version": VERSION, "services": SERVICES, "cores": CORES}
    return answers({GET: pushes(5), **{names[name]: one for name, one in said.items()}})


async def hangs(node: Node, line: str) -> None:
    await node.say("the first line")
    while True:
        await node.read_line()


async def asks(node: Node, line: str) -> None:
    while await node.ask("Continue (y/n)?") != "^C":
        pass


async def closes(node: Node, line: str) -> None:
    node.hang_up()
    await trio.sleep_forever()


async def test_its_commands_are_run_after_the_last_path_and_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(node_that(status=["Host Name : x"], cores=["No core files found"])) as node:
        notes, report = await collected(node, snapshot_task(tmp_path))
    assert notes == ()
    typed = [line for line in node.lines if line in (*SNAPSHOT, GET, "quit")]
    assert typed == [GET, *SNAPSHOT, "quit"]
    assert [(file.path, file.complete) for file in report.written] == [
        ("cucm-pub/output/001-show-status.txt", True),
        ("cucm-pub/output/002-show-version-active.txt", True),
        ("cucm-pub/output/003-utils-service-list.txt", True),
        ("cucm-pub/output/004-utils-core-active-list.txt", True),
    ]
    assert (tmp_path / "cucm-pub" / FIRST).read_text() == "Host Name : x\n"
    assert report.phases[-4:] == [Phase.TRANSFER, Phase.CLOSE, Phase.COMMAND, Phase.CLOSE]
    assert node.target.revoked


async def test_without_one_nothing_more_is_typed(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with scripted(node_that()) as node:
        _, report = await collected(node, node_task(tmp_path, PATH))
    assert STATUS not in node.lines
    assert report.written == []


@pytest.mark.parametrize(
    ("said", "kept", "word"),
    [
        ({"version": ["% Invalid command"]}, 4, "% Invalid command"),
        ({"version": asks}, 4, "Continue (y/n)?"),
        ({"version": hangs}, 2, "Timed out after 60s"),
        ({"version": closes}, 1, "connection"),
    ],
)
async def test_what_goes_wrong_in_it_is_a_note(
    tmp_path: Path,
    autojump_clock: MockClock,
    said: Mapping[str, Sequence[str] | Answer],
    kept: int,
    word: str,
) -> None:
    async with scripted(node_that(**said)) as node:
        notes, report = await collected(node, snapshot_task(tmp_path))
    assert len(notes) == 1
    assert word in notes[0]
    assert len(report.written) == kept
    assert len(report.counted) == 1
    assert node.opened == node.closed == 1


async def test_it_ends_before_the_deadline_of_its_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    # In the first command: while an output is written, in a thread, virtual time goes on.
    async with scripted(node_that(status=hangs)) as node:
        with trio.fail_after(30):
            notes, report = await collected(node, snapshot_task(tmp_path))
            assert trio.current_time() > 28
    assert len(notes) == 1
    assert report.written == []
    assert len(report.counted) == 1


@pytest.mark.parametrize("ends", [False, True])
async def test_what_came_before_it_and_still_runs_is_ended(
    tmp_path: Path, autojump_clock: MockClock, *, ends: bool
) -> None:
    hours = {"since": datetime(2026, 7, 1, tzinfo=UTC), "last": "2h"}
    work = Collect((PATH,), snapshot=SNAPSHOT, **hours)
    relative = {"asked_at": datetime.now(UTC)}

    async def status(node: Node, line: str) -> None:
        if not ends:
            await hangs(node, line)
        elif node.lines.count(STATUS) == 1:
            await asks(node, line)

    said = {STATUS: status}

    async def script(node: Node) -> None:
        async def any_get(node: Node, line: str) -> None:
            await pushes(5)(node, line)

        await answers(AnyGet(any_get, said))(node)

    async with scripted(script) as node:
        notes, report = await collected(node, snapshot_task(tmp_path, work=work, **relative))
    assert node.lines.count(STATUS) == (2 if ends else 1)
    assert (CORES in node.lines) is ends
    assert len(notes) == (0 if ends else 1)
    assert len(report.written) == (4 if ends else 0)
    assert len(report.counted) == 1


LOOK = HealthCheck(("disk", "services", "cores"))
WELL = {
    STATUS: ["Disk/logging  69234984K  5315340K  60379628K (42%)"],
    SERVICES: ["A Cisco DB[STARTED]"],
    CORES: ["No core files found"],
}


@pytest.mark.parametrize(
    ("said", "found", "noted"),
    [
        ({}, [GOOD, GOOD, GOOD], False),
        ({SERVICES: ["Cisco Tomcat[STOPPED]"]}, [GOOD, BAD, GOOD], False),
        ({SERVICES: ["% Invalid command"]}, [GOOD, UNREAD, GOOD], False),
        ({SERVICES: hangs}, [GOOD], True),
        ({SERVICES: closes}, [GOOD], True),
    ],
)
async def test_it_may_be_a_look_at_the_health_of_which_a_node_does_not_fail(
    tmp_path: Path,
    autojump_clock: MockClock,
    said: Mapping[str, Answer | Sequence[str]],
    found: Sequence[str],
    *,
    noted: bool,
) -> None:
    task = snapshot_task(tmp_path, work=Collect((PATH,), health=LOOK))
    async with scripted(answers({GET: pushes(5), **WELL, **said})) as node:
        notes, report = await collected(node, task)
    assert [one.state for one in report.results[-1].findings] == found
    assert bool(notes) is noted
    assert len(report.counted) == 1
    assert node.opened == node.closed == 1


class AnyGet(dict):
    """Answers of a node whatever the window of its `file get` is."""

    def __init__(self, get: Answer, said: Mapping[str, Answer]) -> None:
        super().__init__(said)
        self._get = get

    def get(self, line: str, otherwise: object = ()) -> object:
        return self._get if line.startswith("file get") else super().get(line, otherwise)


@pytest.mark.parametrize("arranged", ["disk", "quota", "folder"])
async def test_an_output_that_cannot_be_kept_is_a_note(
    tmp_path: Path, autojump_clock: MockClock, arranged: str
) -> None:
    fields: dict[str, object] = {}
    if arranged == "quota":
        fields["quota"] = Quota(Allowance(6), Allowance(0))
    async with scripted(node_that(status=["more than six bytes"])) as node:
        task = snapshot_task(tmp_path, **fields)
        if arranged == "disk":
            node.shortage = lambda descriptor: "no space is left"
        if arranged == "folder":
            (task.folder / "output").write_text("in the way")
        notes, report = await collected(node, task)
    assert len(notes) == 1
    assert report.written == []
    assert len(report.counted) == 1


async def test_a_node_without_files_has_one_too_and_fails_as_before(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers({GET: matches_nothing})) as node:
        failure = await failed(node, snapshot_task(tmp_path))
    assert failure.code == Code.NO_FILES_MATCHED
    assert CORES in node.lines


@pytest.mark.parametrize("work", [{"snapshot": SNAPSHOT}, {"health": LOOK}], ids=str)
async def test_a_cancel_at_any_step_of_it_leaves_nothing_open(
    tmp_path: Path, autojump_clock: MockClock, work: dict[str, Any]
) -> None:
    task = snapshot_task(tmp_path, work=Collect((PATH,), **work))
    await cancel_at_every_step(node_that(), lambda node: collected(node, task, RecordedReport()))


async def test_a_retry_keeps_the_earlier_snapshot(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(node_that(status=["Host Name : x"])) as node:
        await collected(node, snapshot_task(tmp_path))
    async with scripted(node_that(status=hangs)) as node:
        _, report = await collected(node, snapshot_task(tmp_path, first_attempt=2))
    assert (tmp_path / "cucm-pub" / FIRST).read_text() == "Host Name : x\n"
    again = FIRST.replace(".txt", ".attempt-2.txt")
    assert [(one.path, one.complete) for one in report.written] == [(f"cucm-pub/{again}", False)]
