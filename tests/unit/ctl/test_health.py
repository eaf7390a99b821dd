"""Findings about the health of nodes: order, width, verdict and exit code."""

import re
from collections.abc import Iterable

import pytest

from cucmctl.text import health_text
from cucmd.job.health import BAD, GOOD, LOOK, UNREAD, Finding, Health

HINT = "utils service start Cisco Tomcat, and see its logs to know why it has ended by itself"
FINDINGS = (
    Finding("version", GOOD, "15.0.1.11900-40"),
    Finding("services", LOOK, "Cisco DRF Master is STOPPED", "somebody has stopped it"),
    Finding("services", BAD, "Cisco Tomcat is STOPPED (Component is not running)", HINT),
    Finding("services", BAD, "Cisco CTIManager is STOPPED (Component is not running)", HINT),
    Finding("ntp", UNREAD, "whether it follows a server is not said"),
    Finding("disk", GOOD, "50 % of the logging partition is used"),
)


@pytest.fixture
def a_job(job, node):
    def made(*findings: Finding, second: Health | None = None):
        health = Health(findings, product="callmanager", version="15.0.1.11900-40")
        nodes = node("a", "succeeded", health=health), node("b", "succeeded", health=second)
        return job(*nodes, status="succeeded", kind="health")

    return made


def marks(lines: Iterable[str]) -> list[str]:
    """Returns the first word of each line below the heading of a node."""
    return [line.split()[0] for line in lines if line.startswith(" ")]


def test_worst_findings_come_first(a_job) -> None:
    shown = list(health_text.lines(a_job(*FINDINGS), good=True))
    assert shown[0] == "a callmanager 15.0.1.11900-40"
    assert marks(shown) == ["bad", "bad", "hint:", "look", "hint:", "not", "good", "good"]
    assert [line.split()[1] for line in shown[-2:]] == ["version:", "disk:"]
    assert shown[-1].endswith("50 % of the logging partition is used")


def test_good_findings_are_left_out(a_job) -> None:
    well = Health(FINDINGS[:1])
    shown = list(health_text.lines(a_job(*FINDINGS, second=well)))
    assert marks(shown) == ["bad", "bad", "hint:", "look", "hint:", "not"]
    assert list(health_text.lines(a_job(FINDINGS[0], second=well))) == []


def test_unknown_state_needs_attention(a_job) -> None:
    """The state comes from a later daemon."""
    done = a_job(FINDINGS[0], Finding("disk", "warm", "40 C"))
    assert marks(health_text.lines(done)) == ["look"]
    assert health_text.verdict(done) == "2 nodes: 1 look at it, 1 not checked"
    assert health_text.exit_code(done) == 3


def test_verdict_counts_worst_findings(job, node) -> None:
    good, *others = (Health((Finding("ntp", state, "x"),)) for state in (GOOD, LOOK, BAD, UNREAD))
    nodes = [node(str(at), "succeeded", health=health) for at, health in enumerate(others)]
    nodes += [node("9", "succeeded", health=good), node("b", "succeeded", health=good)]
    nodes += [node("c", "failed", health=good), node("d", "running")]
    counts = "1 failed, 1 bad, 1 look at it, 1 not read, 1 running, 2 good"
    assert health_text.verdict(job(*nodes, kind="health")) == f"7 nodes: {counts}"


@pytest.mark.parametrize("columns", [80, 200])
def test_lines_fit_the_terminal(a_job, columns: int) -> None:
    plain = list(health_text.lines(a_job(*FINDINGS), good=True, columns=columns))
    assert max(map(len, plain)) <= columns
    coloured = health_text.lines(a_job(*FINDINGS), good=True, columns=columns, colour=True)
    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in coloured] == plain


@pytest.mark.parametrize(
    ("states", "code"),
    [((), 0), ((GOOD,), 0), ((GOOD, LOOK), 3), ((UNREAD,), 3), ((LOOK, BAD, GOOD), 1)],
)
def test_exit_code_of_findings(a_job, states: tuple[str, ...], code: int) -> None:
    assert health_text.exit_code(a_job(*(Finding("ntp", state, "x") for state in states))) == code


def test_findings_between_nodes(job, node) -> None:
    nodes = [
        node(
            name,
            "succeeded",
            health=Health(FINDINGS[:1], product="cups", version=version, named=("a", "b")),
        )
        for name, version in (("a", "15"), ("b", "15"), ("c", "14"))
    ]
    found = health_text.complete(job(*nodes, status="succeeded", kind="health"))
    assert [len(one.health.findings) for one in found.nodes] == [1, 1, 2]
    assert found.nodes[2].health.findings[-1].state == BAD
    other = job(node("a", "succeeded"))
    assert health_text.complete(other) == other


def test_compared_nodes_have_host_names(job, node):
    nodes = [
        node(
            f"10.0.0.{at}",
            "succeeded",
            name=f"cucm{at}",
            health=Health(
                (Finding("clock", GOOD, "x"),),
                address=f"10.0.0.{at}",
                named=("10.0.0.1",),
                clock_ahead=ahead,
            ),
        )
        for at, ahead in ((1, 0.0), (2, 900.0))
    ]
    shown = "\n".join(health_text.lines(health_text.complete(job(*nodes, kind="health"))))
    assert "ahead of that of cucm1" in shown
