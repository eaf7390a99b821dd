"""What health checks have found on the nodes of a cluster, as curves."""

from datetime import UTC, datetime, timedelta

import pytest

from cucmd.job.health import BAD, GOOD, UNREAD, Finding, Health
from cucmd.job.work_request import Collection, Timeouts
from cucmd.protocol.jobs import Job, Node
from cucmweb.page.figures import Curve, Reading, curves, verdict

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def node(name: str, *findings: Finding) -> Node:
    return Node(
        node=name, status="succeeded", phase=None, attempt=1, error=None, failure=None, notes=(),
        started_at=None, completed_at=None, files_announced=None, bytes_announced=None,
        files_received=0, bytes_received=0, health=Health(findings),
    )  # fmt: skip


def job(hours: float, *nodes: Node) -> Job:
    return Job(
        job_id="57f3c2a1b2c3", status="succeeded", cancelled=False, closed=True, revision=1,
        kind="health", created_at=START + timedelta(hours=hours), started_at=None,
        completed_at=None, directory="/", collection=Collection(), timeouts=Timeouts(),
        concurrency=4, resumable=False, retries=0, nodes=nodes,
    )  # fmt: skip


def disk(percent: float) -> Finding:
    return Finding("disk", GOOD, "", None, percent, "%")


def texts(curve: Curve) -> list[str]:
    return [str(reading) for reading in curve.readings]


def test_readings_begin_with_the_oldest() -> None:
    found = curves([job(2, node("a", disk(60))), job(1, node("a", disk(40)), node("b", disk(7)))])
    assert texts(found["a"]["disk"]) == ["40 %", "60 %"]
    assert texts(found["b"]["disk"]) == ["7 %"]


def test_certificate_that_ends_first_counts() -> None:
    findings = [
        Finding("certificates", state, "", None, days, "days")
        for state, days in ((GOOD, 1800), (BAD, -26), (GOOD, 300))
    ]
    assert texts(curves([job(0, node("a", *findings))])["a"]["certificates"]) == ["-26 days bad"]


def test_bad_server_counts_for_replication() -> None:
    findings = (Finding("replication", BAD, "", None, 4), Finding("replication", GOOD, "", None, 2))
    assert texts(curves([job(0, node("a", *findings))])["a"]["replication"]) == ["4 bad"]


def test_check_without_figure_has_its_word() -> None:
    curve = curves([job(0, node("a", Finding("disk", UNREAD, "too long")))])["a"]["disk"]
    assert texts(curve) == ["not read"]
    assert curve.points == []


def readings(*figures: float) -> Curve:
    at = [START + timedelta(hours=hour) for hour in range(len(figures))]
    found = [Reading(*each, "%", "good", "succeeded") for each in zip(at, figures, strict=True)]
    return Curve(tuple(found), at[0], at[-1], 100)


def test_places_follow_time_and_figure() -> None:
    curve = readings(0, 50, 100)
    assert curve.points == [(0, 0), (3600, -50), (7200, -100)]
    assert curve.box == (0, -100, 7200, 100)


@pytest.mark.parametrize("figures", [(-30, 5000), (999_999,), (-1,)])
def test_points_stay_within_the_picture(figures: tuple[float, ...]) -> None:
    curve = readings(*figures)
    left, top, width, height = curve.box
    assert all(left <= x <= width and top <= y <= top + height for x, y in curve.points)
    assert min(width, height) > 0


def test_verdict_counts_nodes_of_the_cluster() -> None:
    checked = job(0, node("a", disk(1)), node("b", Finding("disk", BAD, "")), node("c", disk(1)))
    assert verdict(checked, {"a", "b"}) == "2 nodes: 1 bad, 1 good"
    assert verdict(checked, {"elsewhere"}) == ""
