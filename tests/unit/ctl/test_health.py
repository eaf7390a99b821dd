"""Findings about the health of nodes: order, width and exit code."""

import re

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


def test_worst_findings_come_first(a_job) -> None:
    shown = list(health_text.lines(a_job(*FINDINGS)))
    assert shown[0] == "a callmanager 15.0.1.11900-40"
    marks = [line.split()[0] for line in shown[1:-2]]
    assert marks == ["bad", "bad", "hint:", "look", "hint:", "not", "good", "good"]
    assert [line.split()[1] for line in shown[-4:-2]] == ["version:", "disk:"]
    assert shown[-3].endswith("50 % of the logging partition is used")
    assert shown[-1] == "b"


@pytest.mark.parametrize("columns", [80, 200])
def test_lines_fit_the_terminal(a_job, columns: int) -> None:
    plain = list(health_text.lines(a_job(*FINDINGS), columns=columns))
    assert max(map(len, plain)) <= columns
    coloured = health_text.lines(a_job(*FINDINGS), columns=columns, colour=True)
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
