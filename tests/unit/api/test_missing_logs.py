"""Which files are missing of the time that was searched."""

from datetime import UTC, datetime, timedelta

import pytest

from cucmd.api.missing_logs import missing_logs
from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.coverage import Covered, Gap, LogCoverage, Span
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.protocol.cases import MissingLog

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
LOG = "cm/trace/ccm/sdl/SDL*.txt"


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def span(begin: float, end: float) -> Span:
    return Span(at(begin), at(end))


def missing(
    *logs: LogCoverage,
    since: float | None = None,
    until: float | None = None,
    path: str | None = None,
    node: Node | None = None,
    gaps: tuple[Gap, ...] = (),
) -> list[MissingLog]:
    """Searches a job whose window is the hour after NOW."""
    work = Collect(("x",), since=NOW, until=at(60))
    covered = node or Node("a").begin(NOW, 1).succeed(NOW).with_coverage(Covered("", gaps, logs))
    job = Job("0a1b2c3d4e5f", NOW, work, Timeouts(), 1, (covered,))
    limits = (None if minutes is None else at(minutes) for minutes in (since, until))
    return list(missing_logs(job, job.nodes, *limits, path))


@pytest.mark.parametrize(
    ("spans", "parts"),
    [
        ([(0, 60)], []),
        ([(0.9, 59.1)], []),
        ([(10, 60)], [(0, 10)]),
        ([(0, 20), (30, 60)], [(20, 30)]),
        ([(0, 20), (20.5, 40)], [(40, 60)]),
        ([], [(0, 60)]),
    ],
)
def test_time_between_spans_is_missing(
    spans: list[tuple[float, float]], parts: list[tuple[float, float]]
) -> None:
    found = missing(LogCoverage(LOG, tuple(span(*each) for each in spans)))
    assert found == [MissingLog("a", LOG, at(begin), at(end)) for begin, end in parts]


def test_only_searched_time_counts() -> None:
    log = LogCoverage(LOG, (span(0, 20), span(40, 50)))
    assert missing(log, since=5, until=15) == []
    assert missing(log, since=10, until=30) == [MissingLog("a", LOG, at(20), at(30))]


def test_time_outside_window_is_missing() -> None:
    [before, after] = missing(LogCoverage(LOG, (span(0, 60),)), since=-30, until=90)
    assert (before.log, before.since, before.until) == (None, at(-30), NOW)
    assert (after.log, after.since, after.until) == (None, at(60), at(90))


@pytest.mark.parametrize("path", ["sdl", "SDL001_100_0003.txt", "cm/trace/ccm", None])
def test_searched_log_counts(path: str | None) -> None:
    assert missing(LogCoverage(LOG), path=path)


def test_other_log_does_not_count() -> None:
    assert missing(LogCoverage(LOG), path="calllogs") == []


def test_path_without_files_is_missing() -> None:
    gaps = (Gap("cm/trace/cti", "all"),)
    assert missing(gaps=gaps) == [MissingLog("a", "cm/trace/cti", NOW, at(60))]
    assert missing(gaps=gaps, path="ccm") == []


def test_unclear_log_is_unclear() -> None:
    [found] = missing(LogCoverage(LOG, (span(0, 20),), unclear=True))
    assert (found.log, found.since, found.unclear) == (LOG, None, True)
    assert missing(LogCoverage(LOG, (span(0, 60),), unclear=True)) == []


def test_failed_node_is_missing() -> None:
    why = failure(Code.HOST_UNREACHABLE, "no route to host")
    node = Node("a").begin(NOW, 1).fail(NOW, why)
    [found] = missing(node=node)
    assert (found.reason, found.unclear) == ("no route to host", None)


def test_running_node_is_missing() -> None:
    [found] = missing(node=Node("a").begin(NOW, 1))
    assert (found.log, found.unclear, found.reason) == (None, None, "it is running")


def test_unread_coverage_is_unclear() -> None:
    [found] = missing(node=Node("a").begin(NOW, 1).succeed(NOW))
    assert found.unclear
