"""A node's health is looked at: which commands are run, and what stays when one fails."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from trio.testing import MockClock

from cucmd import vos
from cucmd.failure import Code, NodeFailed
from cucmd.job.health import BAD, CHECKS, GOOD, UNREAD, Health, HealthCheck
from cucmd.work.health import health
from rig.scripted_node import Node, RecordedReport, answers, node_task, scripted
from unit.work.capture_node import until_ctrl_c
from unit.work.test_cancel_anywhere import cancel_at_every_step
from unit.work.test_run_node import hangs

SERVICES, NTP = "utils service list", "utils ntp status"
REPLICATION = "utils dbreplication runtimestate"
HA_STATUS = "utils ha status"
REFUSED = ["Executed command unsuccessfully", "No valid command entered"]


def of_product(product: str) -> list[str]:
    return [f"192.0.2.9 pub.example.org pub Publisher {product} DBPub authenticated"]


async def looked_at(
    said: dict, folder: Path, *, only: Sequence[str] = (), fails: bool = False
) -> tuple[Node, Health, RecordedReport]:
    report = RecordedReport()
    task = node_task(folder, work=HealthCheck(tuple(only)))
    async with scripted(answers(said)) as node:
        if fails:
            with pytest.raises(NodeFailed) as caught:
                await health(task, task.work, node, report)
            assert caught.value.failure.code == Code.COMMAND_TIMEOUT
        else:
            assert await health(task, task.work, node, report) == ()
    assert node.closed == node.opened == 1
    return node, report.results[-1], report


async def test_each_command_is_run_once_and_kept(tmp_path: Path, autojump_clock: MockClock) -> None:
    said = {vos.SHOW_CLUSTER: of_product("callmanager"), SERVICES: ["A Cisco DB[STARTED]"]}
    node, found, report = await looked_at(said, tmp_path / "n")
    commands = [line for line in HealthCheck().commands_kept if line != HA_STATUS]
    assert node.lines == [vos.PAGER_OFF, *commands, "quit"]
    assert len(report.written) == len(commands)
    assert [one.check for one in found.findings] == [one for one in CHECKS if one != "availability"]
    good = {one.check for one in found.findings if one.state == GOOD}
    assert good == {"cluster", "services"}
    assert (found.product, found.address, found.named) == (
        "callmanager",
        "192.0.2.9",
        ("192.0.2.9",),
    )


async def test_a_product_without_replication_is_not_asked_for_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    node, found, _ = await looked_at({vos.SHOW_CLUSTER: of_product("uccx")}, tmp_path / "n")
    assert REPLICATION not in node.lines
    assert "replication" not in {one.check for one in found.findings}
    node, found, _ = await looked_at({}, tmp_path / "m")
    assert REPLICATION in node.lines, "the product is not known"


async def test_only_im_and_presence_is_asked_for_its_high_availability(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {vos.SHOW_CLUSTER: of_product("cups"), HA_STATUS: ["Node 1 Name : a State: Normal"]}
    _, found, _ = await looked_at(said, tmp_path / "n", only=("availability",))
    assert [(one.check, one.state) for one in found.findings] == [("availability", GOOD)]
    for table in (of_product("callmanager"), []):
        said = {vos.SHOW_CLUSTER: table}
        node, found, _ = await looked_at(said, tmp_path / f"m{len(table)}", only=("availability",))
        assert HA_STATUS not in node.lines
        assert found.findings == ()


async def test_what_is_refused_is_unread_and_the_next_is_run(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {SERVICES: REFUSED, NTP: ["synchronised to NTP server (192.0.2.1) at stratum 2"]}
    _, found, _ = await looked_at(said, tmp_path / "n", only=("services", "ntp"))
    assert [(one.check, one.state) for one in found.findings] == [
        ("services", UNREAD),
        ("ntp", GOOD),
    ]


@pytest.mark.parametrize("lines", [[], ["", "  ", "\t"]])
async def test_where_nothing_is_printed_everything_is_unread(
    tmp_path: Path, autojump_clock: MockClock, lines: list[str]
) -> None:
    said = {line: lines for of_check in CHECKS.values() for line in of_check}
    _, found, _ = await looked_at(said, tmp_path / "n")
    assert {one.check: one.state for one in found.findings} == dict.fromkeys(
        set(CHECKS) - {"availability"}, UNREAD
    )


async def test_nothing_is_taken_from_what_a_node_says_before_it_refuses(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {
        vos.SHOW_VERSION: ["Active Master Version: 14.0.1.13900-155", *REFUSED],
        CHECKS["certificates"][0]: ["tomcat/tomcat.pem: Self-signed certificate", *REFUSED],
    }
    node, found, _ = await looked_at(said, tmp_path / "n", only=("version", "certificates"))
    assert found.version is None
    assert [one.state for one in found.findings] == [UNREAD, UNREAD]
    assert not [line for line in node.lines if line.startswith("show cert own")]


@pytest.mark.parametrize(("role", "state"), [("Publisher", BAD), ("Subscriber", GOOD)])
async def test_a_subscriber_may_follow_what_a_publisher_may_be(
    tmp_path: Path, autojump_clock: MockClock, role: str, state: str
) -> None:
    said = {
        vos.SHOW_CLUSTER: [of_product("callmanager")[0].replace("Publisher", role)],
        NTP: ["synchronised to NTP server (192.0.2.1) at stratum 6"],
    }
    _, found, _ = await looked_at(said, tmp_path / "n", only=("ntp",))
    assert [one.state for one in found.findings] == [state]


async def test_a_table_of_hundreds_names_the_publisher(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    row = "10.0.{}.9 sub{} Subscriber callmanager DBSub authenticated using TCP since Mon"
    table = [row.format(n, n) for n in range(250)] + of_product("callmanager")
    _, found, _ = await looked_at({vos.SHOW_CLUSTER: table}, tmp_path / "n", only=("cluster",))
    assert (found.named[0], len(found.named)) == ("192.0.2.9", 200)
    assert (found.role, found.address) == ("Publisher", "192.0.2.9")


async def test_an_answer_that_is_not_read_to_its_end_is_not_good(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    old = "2009-12-10.tar TAPE Thu Dec 10 10:35:22 CST 2009 SUCCESS MANUAL CDR_CAR,CCM"
    said = {
        SERVICES: ["A Cisco DB[STARTED]"] * 2000 + ["Cisco Tomcat[STOPPED]"],
        CHECKS["backup"][-1]: [old] * 2000,
    }
    _, found, _ = await looked_at(said, tmp_path / "n", only=("services", "backup"))
    assert [(one.check, one.state) for one in found.findings] == [
        ("services", UNREAD),
        ("backup", UNREAD),
    ]


async def test_a_command_that_hangs_is_unread_where_ctrl_c_ends_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def silent(node: Node, line: str) -> None:
        await until_ctrl_c(node)

    said = {
        REPLICATION: silent,
        "show cert list own": ["a/a.pem: Self-signed", "b/b.pem: Self-signed"],
        "show cert own a/a.pem": silent,
        "utils core active list": ["      No core files found"],
    }
    chosen = ("replication", "certificates", "cores")
    node, found, _ = await looked_at(said, tmp_path / "n", only=chosen)
    assert [(one.check, one.state) for one in found.findings] == [
        ("replication", UNREAD),
        ("certificates", UNREAD),
        ("cores", GOOD),
    ]
    assert "show cert own b/b.pem" not in node.lines


async def test_what_was_found_stays_when_a_command_does_not_end(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {SERVICES: ["A Cisco DB[STARTED]"], NTP: hangs}
    chosen = ("services", "ntp", "replication")
    node, found, _ = await looked_at(said, tmp_path / "n", only=chosen, fails=True)
    assert [(one.check, one.state) for one in found.findings] == [("services", GOOD)]
    assert REPLICATION not in node.lines


async def test_each_certificate_of_the_list_is_asked_for(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {
        "show cert list own": ["tomcat/tomcat.pem: Self-signed", "x;reboot/x.pem: Self-signed"],
        "show cert own tomcat/tomcat.pem": [
            "  Validity From: Wed Feb 04 15:31:39 PST 2022",
            "           To:   Mon Feb 03 15:31:38 PST 2200",
        ],
    }
    node, found, _ = await looked_at(said, tmp_path / "n", only=("certificates",))
    assert [line for line in node.lines if line.startswith("show cert own")] == [
        "show cert own tomcat/tomcat.pem"
    ]
    assert [one.state for one in found.findings] == [GOOD, UNREAD]


async def test_a_cancel_at_any_step_leaves_nothing_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = node_task(tmp_path / "n", work=HealthCheck(("cluster", "certificates")))
    said = {
        vos.SHOW_CLUSTER: of_product("callmanager"),
        "show cert list own": ["tomcat/tomcat.pem: Self-signed"],
    }
    await cancel_at_every_step(
        answers(said), lambda node: health(task, task.work, node, RecordedReport())
    )


async def test_no_password_is_in_what_was_found(tmp_path: Path, autojump_clock: MockClock) -> None:
    top = ["  PID %CPU COMMAND", "4000 99.0 /bin/xPlatformSecret/y"]
    said = {SERVICES: ["PlatformSecret[STOPPED]"], "show process using-most cpu": top}
    _, found, _ = await looked_at(said, tmp_path / "n", only=("services", "processor"))
    assert "PlatformSecret" not in repr(found)
    assert [one.check for one in found.findings] == ["services", "processor"]
