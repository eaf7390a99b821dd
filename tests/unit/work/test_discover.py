"""A node is asked for its cluster: in virtual time, against a script."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd import vos
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.discover import Found, Member
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import NodeTask
from cucmd.work.discover import MOST_MEMBERS, MOST_NAMED
from rig.scripted_node import Node, RecordedReport, answers, discovered, discovery_task, scripted

PUB = "192.0.2.9 pub.example.org pub Publisher callmanager DBPub authenticated"
SUB = "192.0.2.10 sub1 Subscriber callmanager DBSub authenticated using TCP since Mon Nov  2"
IMP = "192.0.2.11 imp.example.org imp Subscriber cups DBPub authenticated using TCP since Mon"
TABLE = [SUB, PUB, IMP, "", "Server Table (processnode) Entries", "-" * 34, "pub", "sub1"]
VERSION = ["Active Master Version: 15.0.1.11900-40", "No Installed Software Options Found."]
HEALTHY = {vos.SHOW_CLUSTER: TABLE, vos.SHOW_VERSION: VERSION}


async def found_on(
    said: dict, folder: Path, name: str = "cucm-pub"
) -> tuple[tuple[str, ...], Found]:
    async with scripted(answers(said)) as node:
        notes, report = await discovered(node, discovery_task(folder, name))
    assert report.last_found is not None
    assert (node.opened, node.closed, node.targets) == (1, 1, [])
    return notes, report.last_found


async def failed(said: dict, task: NodeTask, report: RecordedReport) -> Failure:
    async with scripted(answers(said)) as node:
        with pytest.raises(NodeFailed) as caught:
            await discovered(node, task, report)
        assert node.closed == node.opened
    return caught.value.failure


async def test_the_nodes_of_the_cluster_and_the_version_of_the_one_that_was_asked(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    notes, found = await found_on(HEALTHY, tmp_path)
    assert notes == ()
    assert found == Found(
        (
            Member("192.0.2.10", "192.0.2.10", "sub1", "Subscriber", "callmanager"),
            Member("cucm-pub", "192.0.2.9", "pub", "Publisher", "callmanager", "pub.example.org"),
            Member("192.0.2.11", "192.0.2.11", "imp", "Subscriber", "cups", "imp.example.org"),
        ),
        "15.0.1.11900-40",
    )


async def test_it_types_nothing_but_these_commands_one_after_the_other(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers(HEALTHY)) as node:
        _, report = await discovered(node, discovery_task(tmp_path))
    assert node.lines == [vos.PAGER_OFF, vos.SHOW_CLUSTER, vos.SHOW_VERSION, "quit"]
    assert report.phases == [Phase.LOGIN, Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]
    assert "Server Table (processnode)" in (tmp_path / "transcript.log").read_text()


async def test_nodes_have_the_port_of_the_publisher_where_one_was_given(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {vos.SHOW_CLUSTER: [*TABLE[:3], IMP.replace("192.0.2.11", "2001:db8::1")]}
    _, found = await found_on(said, tmp_path, "pub:2022")
    names = [member.node for member in found.members]
    assert names == ["192.0.2.10:2022", "pub:2022", "192.0.2.11:2022", "[2001:db8::1]:2022"]


@pytest.mark.parametrize(
    ("asked", "lines", "position"),
    [
        ("192.0.2.10", [SUB, IMP], 0),  # by the address in the command
        ("IMP.example.org.", [SUB, IMP], 1),
        ("other", [SUB, IMP.partition(" using")[0]], 1),  # the only one without a connection
        ("other", [SUB, IMP], None),
        ("other", [line.partition(" using")[0] for line in (SUB, IMP)], None),
    ],
)
async def test_the_node_that_was_asked_keeps_its_name_if_it_is_known_which_it_is(
    asked: str,
    lines: list[str],
    position: int | None,
    tmp_path: Path,
    autojump_clock: MockClock,
) -> None:
    _, found = await found_on({vos.SHOW_CLUSTER: lines}, tmp_path, asked)
    same = [at for at, member in enumerate(found.members) if member.node == asked]
    assert same == ([] if position is None else [position])


async def test_a_line_in_another_form_is_kept_and_noted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    strange = "3  cucm-sub2  192.0.2.12  Subscriber"
    notes, found = await found_on({**HEALTHY, vos.SHOW_CLUSTER: [strange, *TABLE]}, tmp_path)
    assert len(found.members) == 3
    assert len(notes) == 1


NOT_YET = "not authenticated - INITIATOR since Fri Nov 13 12:33:47 2026"


async def test_a_node_that_is_down_or_new_is_kept_with_what_is_said_of_it_and_noted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    bad = [f"192.0.2.{at} sub{at} Subscriber {NOT_YET}" for at in range(20, 20 + MOST_NAMED + 2)]
    notes, found = await found_on({**HEALTHY, vos.SHOW_CLUSTER: [PUB, SUB, *bad]}, tmp_path)
    assert [one.unauthenticated for one in found.members] == [None, None] + [NOT_YET] * len(bad)
    assert len(notes) == MOST_NAMED + 1
    assert all(part in notes[0] for part in ("192.0.2.20", "sub20", NOT_YET))


@pytest.mark.parametrize(
    "said",
    [
        ["ID  Hostname  IPv4  Type", "1  cuc1  10.0.0.1  Publisher"],
        ["Executed command unsuccessfully"],
        ["Expected 0 mandatory and up to 1 non-mandatory parameter(s)"],
        ["\x1b[2J\x07" + "#" * 5000],
        [],
    ],
)
async def test_without_a_node_in_a_known_form_it_fails_and_quotes_what_was_said(
    said: list[str], tmp_path: Path, autojump_clock: MockClock
) -> None:
    report = RecordedReport()
    why = await failed({vos.SHOW_CLUSTER: said}, discovery_task(tmp_path), report)
    assert why.code == Code.COMMAND_REFUSED
    assert report.last_found is not None
    assert report.last_found.members == ()
    assert all(" ".join(line.split()) in why.message for line in said if len(line) < 80)
    assert why.message.isprintable()
    assert len(why.message) < 500


async def test_without_an_answer_about_the_version_the_nodes_are_found_all_the_same(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def never(node: Node, line: str) -> None:
        await trio.sleep_forever()

    for said in (["Something else"], never):
        notes, found = await found_on({**HEALTHY, vos.SHOW_VERSION: said}, tmp_path)
        assert (len(found.members), found.version) == (3, None)
        assert len(notes) == 1


async def test_a_node_that_does_not_answer_has_the_deadline_of_a_plain_command(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def never(node: Node, line: str) -> None:
        await trio.sleep_forever()

    task = discovery_task(tmp_path, timeouts=Timeouts(answer=17))
    started = trio.current_time()
    why = await failed({vos.SHOW_CLUSTER: never}, task, RecordedReport())
    assert why.code == Code.COMMAND_TIMEOUT
    assert 17 <= trio.current_time() - started < 17 + 10


async def test_a_login_that_is_refused_is_its_failure(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with scripted(answers(HEALTHY)) as node:
        node.refusals = [failure(Code.AUTH_FAILED, "no")]
        with pytest.raises(NodeFailed) as caught:
            await discovered(node, discovery_task(tmp_path))
    assert caught.value.failure.code == Code.AUTH_FAILED


async def test_a_node_that_names_and_prints_too_much_is_kept_in_limits(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    nodes = [SUB.replace("192.0.2.10", f"10.1.{at // 250}.{at % 250}") for at in range(250)]
    noise = ["x" * 1000] * 300
    notes, found = await found_on({vos.SHOW_CLUSTER: [*nodes, *noise]}, tmp_path)
    assert len(found.members) == MOST_MEMBERS
    assert len(notes) == 3


async def test_the_password_is_in_nothing_that_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {
        vos.SHOW_CLUSTER: [
            SUB.replace("sub1", "PlatformSecret"),
            PUB.replace("pub.example.org", "x.PlatformSecret.org"),
            IMP.replace("cups", "PlatformSecret"),
            f"192.0.2.30 sub9 Subscriber {NOT_YET} PlatformSecret",
            "your password is PlatformSecret",
        ],
        vos.SHOW_VERSION: ["Active Master Version: PlatformSecret"],
    }
    notes, found = await found_on(said, tmp_path)
    assert len(found.members) == 4
    assert "PlatformSecret" not in f"{found} {notes} {(tmp_path / 'transcript.log').read_text()}"
