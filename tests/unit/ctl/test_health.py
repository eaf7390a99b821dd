"""The health of nodes, as people read it."""

import re

import msgspec
import pytest

from cucmctl.text import health_text, render
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


def test_each_finding_has_its_figure_and_the_worst_stand_first(a_job) -> None:
    shown = list(health_text.lines(a_job(*FINDINGS)))
    assert shown[0] == "a callmanager 15.0.1.11900-40"
    marks = [line.split()[0] for line in shown[1:-2]]
    assert marks == ["bad", "bad", "hint:", "look", "hint:", "not", "good", "good"]
    assert [line.split()[1] for line in shown[-4:-2]] == ["version:", "disk:"]
    assert shown[-3].endswith("50 % of the logging partition is used")
    assert shown[-1] == "b"


def test_of_a_node_without_any_of_the_checks_that_is_said(a_job, job, node) -> None:
    assert len(list(health_text.lines(a_job(second=Health())))) == 5
    failed = job(node("a", "failed", health=Health()), node("b", "failed"), kind="health")
    assert list(health_text.lines(failed)) == ["a", "", "b"]


def test_of_a_collection_is_said_at_its_end_how_much_is_not_good(a_job) -> None:
    job = msgspec.structs.replace(a_job(*FINDINGS), kind="collect")
    assert next(render.ending(job)).endswith("4 findings of health not good")
    assert "health" not in next(render.ending(msgspec.structs.replace(job, nodes=job.nodes[1:])))


@pytest.mark.parametrize("columns", [80, 200])
def test_no_line_is_wider_than_the_terminal(a_job, columns: int) -> None:
    plain = list(health_text.lines(a_job(*FINDINGS), columns=columns))
    assert max(map(len, plain)) <= columns
    coloured = health_text.lines(a_job(*FINDINGS), columns=columns, colour=True)
    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in coloured] == plain


def test_words_of_a_node_cannot_write_to_the_terminal(a_job) -> None:
    shown = "\n".join(health_text.lines(a_job(Finding("services", BAD, "\x1b[2J", "\x07"))))
    assert not {"\x1b", "\x07"} & set(shown)


@pytest.mark.parametrize(
    ("states", "code"),
    [((), 0), ((GOOD,), 0), ((GOOD, LOOK), 3), ((UNREAD,), 3), ((LOOK, BAD, GOOD), 1)],
)
def test_the_exit_code_of_what_was_found(a_job, states: tuple[str, ...], code: int) -> None:
    assert health_text.exit_code(a_job(*(Finding("ntp", state, "x") for state in states))) == code


def test_a_node_that_failed_is_bad(job, node) -> None:
    assert (
        health_text.exit_code(job(node("a", "succeeded"), node("b", "failed"), status="partial"))
        == 1
    )


def test_what_shows_between_nodes_is_a_finding_of_one_of_them(job, node) -> None:
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
