"""The view of a job, as its template shows it."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cucmd.job.coverage import Gap, LogCoverage
from cucmd.job.work_request import Collection, Timeouts
from cucmd.protocol.jobs import Job, Node
from cucmweb.page.render import render

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def job(*, logs: tuple[LogCoverage, ...] | None) -> Job:
    """A collection that lacks ten minutes."""
    node = Node(
        node="10.0.0.1", status="succeeded", phase=None, attempt=1, error=None, failure=None,
        notes=(), started_at=AT, completed_at=AT, files_announced=None, bytes_announced=None,
        files_received=0, bytes_received=0, gaps=(Gap("sdl", "begin", seconds=600),), logs=logs,
    )  # fmt: skip
    return Job(
        job_id="57f3c2a1b2c3", status="succeeded", cancelled=False, closed=True, revision=1,
        kind="collect", created_at=AT, started_at=AT, completed_at=AT, directory="/",
        collection=Collection(since="2026-03-01T11:00:00+00:00", until=AT.isoformat()),
        timeouts=Timeouts(), concurrency=4, resumable=False, retries=0, nodes=(node,),
    )  # fmt: skip


def shown(job: Job) -> str:
    zone = ZoneInfo("Asia/Tokyo")
    values = {"zone": zone, "zone_key": zone.key, "may_change": True, "query": {}, "targets": {}}
    values |= {"base": ""}
    return render("job_live.html", {**values, "job": job, "rates": {}}).decode()


def test_gaps_are_in_the_picture_only() -> None:
    drawn, told = shown(job(logs=(LogCoverage("sdl"),))), shown(job(logs=None))
    assert ("Coverage" in drawn, "Remarks" in drawn) == (True, False)
    assert ("Coverage" in told, "Remarks" in told) == (False, True)


def test_node_has_its_missing_minutes() -> None:
    (nodes,) = re.findall('<table class="nodes">.*?</table>', shown(job(logs=None)), re.DOTALL)
    assert '<a class="missing" href="#remarks">10 min missing</a>' in nodes


def test_times_are_those_of_the_viewer() -> None:
    assert "2026-03-01 20:00:00 to 2026-03-01 21:00:00" in shown(job(logs=None))
