"""Times that are no moment or two: clocks that are set, wrong, or of a zone that is not known."""

from datetime import UTC, datetime, timedelta

import pytest

from cucmd.reading.coverage_text import describe
from cucmd.reading.stamps import FirstStamp, Stamp
from cucmd.reading.trace_files import Trace, TraceFile
from cucmd.reading.window_coverage import (
    Clock,
    PathFound,
    RequestedWindow,
    cover_logs,
    find_gaps,
    possible_moments,
)
from unit.reading.test_coverage import BERLIN, NEW_YORK, WINDOW, at, file, trace, utc

# The clock is set back: in Berlin on 2026-10-25, from 03:00 to 02:00, so 02:30 comes twice.

AUTUMN = datetime(2026, 10, 25, tzinfo=UTC)


def test_a_time_that_comes_twice():
    first, second = AUTUMN.replace(minute=30), AUTUMN.replace(hour=1, minute=30)
    assert possible_moments(at("2026-10-25 02:30"), BERLIN) == (first, second)
    # In a header: it may be without summer time.
    assert possible_moments(at("2026-10-25 02:30", 1), BERLIN) == (first, second)


@pytest.mark.parametrize(
    ("bound", "time", "said"),
    [
        ("since", "01:45", "covers"),  # after both
        ("since", "00:45", "coverage unknown"),  # between them
        ("since", "00:00", "begins"),  # before both
        ("until", "00:15", "covers"),
        ("until", "00:45", "coverage unknown"),
        ("until", "02:00", "ends"),
    ],
)
def test_a_trace_in_the_repeated_hour(bound, time, said):
    moment = datetime.fromisoformat(f"2026-10-25 {time}+00:00")
    begin, end = "2026-10-25 02:30", "2026-10-25 09:00"
    one = trace(begin, end) if bound == "since" else trace("2026-10-24 09:00", begin)
    assert describe([one], RequestedWindow(**{bound: moment}), BERLIN).startswith(said)


def test_a_header_of_another_zone():
    noon = datetime(2026, 7, 1, 10, tzinfo=UTC)
    for offset, known in ((2, True), (1, True), (0, False), (3, False), (-5, False)):
        found = possible_moments(at("2026-07-01 12:00", offset), BERLIN)
        assert found == ((noon, noon) if known else None)


def stamped(first: Stamp, last: Stamp | None) -> Trace:
    return Trace("x", [TraceFile("x", FirstStamp(first, "ccbu"), last)])


SUMMER, WINTER = (Stamp(at("2026-10-25 02:30").local, timedelta(hours=h), True) for h in (2, 1))


@pytest.mark.parametrize("clock", [BERLIN, NEW_YORK, Clock()])
@pytest.mark.parametrize(("stamp", "moment"), [(SUMMER, "00:30"), (WINTER, "01:30")])
def test_an_exact_offset_decides(stamp, moment, clock):
    exactly = datetime.fromisoformat(f"2026-10-25 {moment}+00:00")
    assert possible_moments(stamp, clock) == (exactly, exactly)
    (gap,) = find_gaps(
        [PathFound("x", [stamped(stamp, stamp)])],
        RequestedWindow(since=exactly - timedelta(hours=1)),
        clock,
    )
    assert (gap.seconds, gap.at) == (3600, exactly)


def test_times_are_shown_by_the_nodes_clock():
    one = stamped(Stamp(at("12:30").local, timedelta(), True), None)
    window = RequestedWindow(since=utc("12:00"))
    assert describe([one], window, BERLIN).startswith("begins 13:30, 30 min missing")


# The clock is set forward: in Berlin on 2026-03-29, from 02:00 to 03:00; there is no 02:30.


def test_a_time_that_never_comes():
    assert possible_moments(at("2026-03-29 02:30"), BERLIN) is None
    window = RequestedWindow(since=datetime(2026, 3, 29, 1, tzinfo=UTC))
    one = trace("2026-03-29 02:30", "2026-03-29 09:00")
    assert describe([one], window, BERLIN).startswith("coverage unknown")


def test_both_sides_of_a_missing_hour():
    assert possible_moments(at("2026-03-29 01:59"), BERLIN) == (
        datetime(2026, 3, 29, 0, 59, tzinfo=UTC),
        datetime(2026, 3, 29, 0, 59, tzinfo=UTC),
    )
    assert possible_moments(at("2026-03-08 03:00"), NEW_YORK) == (
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
    )


# A node whose zone is not known


def test_an_unknown_zone_may_be_any():
    unknown = Clock()
    assert describe([trace("2026-11-24 20:00", "2026-11-26 10:00")], WINDOW, unknown) == (
        "covers the window, whatever the node's time zone is"
    )
    assert describe([trace("12:00", "15:30")], WINDOW, unknown) == (
        "coverage unknown: the node's time zone is not known; "
        "time stamps from 12:00 to 15:30 by the node's clock"
    )
    late = RequestedWindow(WINDOW.since - timedelta(days=2), WINDOW.until - timedelta(days=1))
    assert describe([trace("12:00", "15:30")], late, unknown) == "begins 12:00 by the node's clock"


def test_a_header_narrows_an_unknown_zone():
    known = possible_moments(at("13:30", 1), Clock())
    assert known == (
        datetime(2026, 11, 25, 11, 30, tzinfo=UTC),
        datetime(2026, 11, 25, 13, 30, tzinfo=UTC),
    )


# A node whose clock is wrong


@pytest.mark.parametrize(
    ("ahead", "begin", "said"),
    [
        # It may be 12:40.
        (30, "13:10", "coverage unknown: the node's clock is 30 min ahead of ours"),
        (30, "12:50", "covers"),
        (30, "13:40", "begins"),
        # It may be 13:10.
        (-30, "12:40", "coverage unknown: the node's clock is 30 min behind ours"),
        (-30, "12:20", "covers"),
    ],
)
def test_a_wrong_clock_makes_it_unclear(ahead, begin, said):
    clock = Clock(BERLIN.zone, timedelta(minutes=ahead))
    window = RequestedWindow(since=WINDOW.since)
    assert describe([trace(begin, "15:30")], window, clock).startswith(said)


def test_only_certain_time_is_covered():
    """The first file ends, and the second begins, at a time that comes twice."""
    files = [
        file("a1.log", "2026-10-25 01:00", "2026-10-25 02:10"),
        file("a9.log", "2026-10-25 02:50", "2026-10-25 04:00"),
    ]
    (log,) = cover_logs([Trace("a", files)], RequestedWindow(), BERLIN)
    ends = AUTUMN.replace(minute=10), AUTUMN.replace(hour=1, minute=50)
    assert (log.spans[0].end, log.spans[1].begin, log.unclear) == (*ends, True)


def test_unknown_zones_leave_logs_unclear():
    files = [file("a1.log", "13:00", "13:10"), file("a9.log", "14:00", "15:00")]
    (log,) = cover_logs([Trace("a", files)], WINDOW, Clock())
    assert (log.spans, log.unclear) == ((), True)
