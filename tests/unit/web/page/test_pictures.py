"""The timeline and the coverage of a job, as bars with their times, and what is left out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cucmd.job.attempt import EarlierAttempt, PhaseBegun
from cucmd.job.coverage import LogCoverage, Span
from cucmd.job.work_request import Collection, Timeouts
from cucmd.protocol.jobs import Job, Node
from cucmweb.page.pictures import MOST_BARS, Picture, coverage, timeline

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def node(name: str = "10.0.0.1", **more: Any) -> Node:
    values: dict[str, Any] = {
        "status": "succeeded", "phase": None, "attempt": 1, "error": None, "failure": None,
        "notes": (), "started_at": at(1), "completed_at": at(10), "files_announced": None,
        "bytes_announced": None, "files_received": 0, "bytes_received": 0,
    }  # fmt: skip
    return Node(node=name, **(values | more))


def job(*nodes: Node, **more: Any) -> Job:
    values: dict[str, Any] = {
        "job_id": "57f3c2a1b2c3", "status": "succeeded", "cancelled": False, "closed": True,
        "revision": 1, "kind": "collect", "created_at": at(0), "started_at": at(0),
        "completed_at": at(10), "directory": "/", "timeouts": Timeouts(), "concurrency": 4,
        "collection": Collection(since=at(-60).isoformat(), until=at(0).isoformat()),
        "resumable": False, "retries": 0, "nodes": nodes,
    }  # fmt: skip
    return Job(**(values | more))


def bars(picture: Picture | None) -> list[tuple[str, datetime, datetime]]:
    assert picture is not None
    return [(bar.kind, bar.begin, bar.end) for bar in picture.rows[0].bars]


def test_phases_follow_each_other() -> None:
    phases = (PhaseBegun("connect", at(1)), PhaseBegun("login", at(2)), PhaseBegun("new", at(5)))
    assert bars(timeline(job(node(phases=phases)), at(99))) == [
        ("waiting", at(0), at(1)),
        ("connect", at(1), at(2)),
        ("login", at(2), at(5)),
        ("command", at(5), at(10)),  # a phase that only a later daemon knows
    ]


def test_running_phase_lasts_until_now() -> None:
    running = node(status="running", completed_at=None, phases=(PhaseBegun("login", at(1)),))
    picture = timeline(job(running, completed_at=None), at(4))
    assert bars(picture)[-1] == ("login", at(1), at(4))
    assert picture is not None
    assert picture.end == at(4)


def test_earlier_attempts_are_shown() -> None:
    earlier = EarlierAttempt(1, at(-2), "login", "auth_failed", None, at(-5))
    picture = timeline(job(node(earlier=(earlier,), phases=())), at(99))
    assert bars(picture)[0] == ("earlier", at(-5), at(-2))
    assert picture is not None
    assert picture.begin == at(-5)


def test_job_that_waits_has_no_timeline() -> None:
    assert timeline(job(node(), started_at=None), at(1)) is None


def test_coverage_shows_what_is_missing() -> None:
    spans = (Span(at(-70), at(-50)), Span(at(-40), at(-0.5)))
    picture = coverage(job(node(logs=(LogCoverage("sdl", spans),))))
    assert bars(picture) == [
        ("covered", at(-60), at(-50)),
        ("missing", at(-50), at(-40)),
        ("covered", at(-40), at(-0.5)),
    ]


def test_log_without_files_is_missing() -> None:
    assert bars(coverage(job(node(logs=(LogCoverage("sdl"),))))) == [
        ("missing", at(-60), at(0)),
    ]


def test_unclear_time_is_not_called_missing() -> None:
    log = LogCoverage("sdl", (Span(at(-60), at(-30)),), unclear=True)
    assert bars(coverage(job(node(logs=(log,)))))[-1] == ("unclear", at(-30), at(0))


def test_worst_rows_are_kept() -> None:
    logs = tuple(LogCoverage(f"log{n}", (Span(at(-60), at(-n)),)) for n in range(80))
    picture = coverage(job(node(logs=logs[:40]), node("10.0.0.2", logs=logs[40:])))
    assert picture is not None
    assert (len(picture.rows), picture.left_out) == (60, 20)
    assert {row.log for row in picture.rows} == {f"log{n}" for n in range(20, 80)}


@pytest.mark.parametrize(("seconds", "ticks"), [(0.4, 1), (1.3, 2), (2.5, 3), (3600, 5)])
def test_no_two_ticks_are_alike(seconds: float, ticks: int) -> None:
    begin = at(0.0166)  # shortly before the next second
    picture = Picture(begin, begin + timedelta(seconds=seconds), [], 0)
    shown = [f"{tick:%H:%M:%S}" for tick in picture.ticks]
    assert len(shown) == len(set(shown)) == ticks


def test_slowest_node_is_first() -> None:
    quick = node("10.0.0.1", phases=(PhaseBegun("login", at(9)),))
    slow = node("10.0.0.2", phases=(PhaseBegun("login", at(2)),))
    picture = timeline(job(quick, slow), at(99))
    assert picture is not None
    assert [row.node.node for row in picture.rows] == ["10.0.0.2", "10.0.0.1"]


def test_bars_of_a_picture_are_few() -> None:
    spans = tuple(Span(at(-60 + 2 * n), at(-59 + 2 * n)) for n in range(30))
    logs = tuple(LogCoverage(f"log{n}", spans[: 30 - n % 2]) for n in range(20))
    known = job(node(logs=logs))
    few, all_bars = coverage(known), coverage(known, whole=True)
    assert few is not None
    assert all_bars is not None
    assert sum(len(row.bars) for row in few.rows) <= MOST_BARS < 20 * 59
    assert {row.log for row in few.rows} < {f"log{n}" for n in range(1, 20, 2)}
    assert (len(all_bars.rows), few.left_out) == (20, 20 - len(few.rows))
