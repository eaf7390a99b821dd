"""What traces cover of a window, in words, and "unknown" wherever a time can be two moments."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.client.frames import LONGEST_REPLY
from cucmd.job.coverage import (
    MOST_LOGS,
    MOST_MIDDLE,
    MOST_SPANS,
    MOST_SPANS_OF_NODE,
    Gap,
    LogCoverage,
    Span,
)
from cucmd.reading.coverage_text import describe
from cucmd.reading.stamps import FirstStamp, Stamp
from cucmd.reading.trace_files import Trace, TraceFile, trace_name
from cucmd.reading.window_coverage import (
    Clock,
    PathFound,
    Paths,
    RequestedWindow,
    cover_logs,
    find_gaps,
    possible_moments,
)
from cucmd.receiver.client_paths import with_number

BERLIN = Clock(ZoneInfo("Europe/Berlin"))
NEW_YORK = Clock(ZoneInfo("America/New_York"))
# 13:00 to 15:00 in Berlin
WINDOW = RequestedWindow(
    datetime(2026, 11, 25, 12, tzinfo=UTC), datetime(2026, 11, 25, 14, tzinfo=UTC)
)


def at(text: str, offset: float | None = None) -> Stamp:
    local = datetime.fromisoformat(text if "-" in text else f"2026-11-25 {text}")
    return Stamp(local, None if offset is None else timedelta(hours=offset))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-25 {text}+00:00")


def file(name: str, begin: str, end: str | None = None, offset: float | None = None) -> TraceFile:
    first = FirstStamp(at(begin, offset), "log4j")
    return TraceFile(name, first, None if end is None else at(end, offset))


def trace(begin: str, end: str | None, name: str = "sdl/SDL", **other: object) -> Trace:
    return Trace(name, [file(name, begin, end)], **other)


OPEN, LONG = RequestedWindow(), RequestedWindow(WINDOW.since, WINDOW.until + timedelta(days=1))


@pytest.mark.parametrize(
    ("window", "begin", "end", "said"),
    [
        (WINDOW, "12:59:59", "15:00:01", "covers 13:00 to 15:00"),
        (WINDOW, "13:00:59", "14:59:01", "covers 13:00 to 15:00"),
        (WINDOW, "14:07:12", "15:10", "begins 14:07, 1 h 07 min missing"),
        (WINDOW, "12:10", "14:51", "ends 14:51, 9 min missing"),
        (WINDOW, "14:07", "14:51", "begins 14:07, 1 h 07 min missing, ends 14:51, 9 min missing"),
        (
            WINDOW,
            "2026-11-23 12:00",
            "2026-11-24 23:10",
            "ends 2026-11-24 23:10, 2 h 00 min missing",
        ),
        (LONG, "12:00", "2026-11-26 16:00", "covers 2026-11-25 13:00 to 2026-11-26 15:00"),
        (OPEN, "12:00", "15:30", "from 12:00 to 15:30"),
        (
            RequestedWindow(since=WINDOW.since),
            "12:00",
            "15:30",
            "covers 13:00 on, the last time stamp is of 15:30",
        ),
        (
            RequestedWindow(until=WINDOW.until),
            "12:00",
            "15:30",
            "covers up to 15:00, the first time stamp is of 12:00",
        ),
    ],
)
def test_one_trace(window, begin, end, said):
    assert describe([trace(begin, end)], window, BERLIN) == f"{said} (Europe/Berlin)"


def test_incomplete_traces_are_named():
    traces = [
        trace("12:00", "15:30", "sdl/SDL"),
        trace("14:07", "15:30", "cti/SDL"),
        *(trace("12:00", "14:30", f"log{number}") for number in range(4)),
    ]
    assert describe(traces, WINDOW, BERLIN) == (
        "covers 13:00 to 15:00 (Europe/Berlin), but cti/SDL begins 14:07, 1 h 07 min missing; "
        "log0 ends 14:30, 30 min missing; log1 ends 14:30, 30 min missing; and 2 more"
    )


def test_a_name_is_short_and_printable():
    odd = trace("14:07", "15:30", "x" * 5000 + "\udc80\x1b[2J\n")
    said = describe([odd, trace("12:00", "15:30")], WINDOW, BERLIN)
    assert said.endswith("xx??[2J? begins 14:07, 1 h 07 min missing")
    assert said.isprintable()
    assert len(said) < 200


def test_files_without_stamps():
    none = [Trace("a", unknown=2), Trace("b", unknown=1)]
    said = describe(none, WINDOW, BERLIN)
    assert said == "coverage unknown: 3 files have no time stamps that are known"
    assert describe([trace("12:00", "15:30"), Trace("b", unknown=1)], WINDOW, BERLIN) == (
        "covers 13:00 to 15:00 (Europe/Berlin); 1 file has no time stamps that are known"
    )
    assert describe([], WINDOW, BERLIN) == ""


@pytest.mark.parametrize("lack", [{"unknown": 1}, {"partial": True}])
def test_unread_files_may_have_it(lack):
    assert describe([trace("14:07", "15:30", **lack)], WINDOW, BERLIN).startswith(
        "coverage unknown"
    )
    assert describe([trace("12:00", "15:30", **lack)], WINDOW, BERLIN).startswith("covers 13:00")


def test_an_unread_end_is_unknown():
    assert describe([trace("12:00", None)], WINDOW, BERLIN).startswith("coverage unknown")


# Path by path


@pytest.mark.parametrize(
    ("recurs", "file", "positions"),
    [
        (False, "cm/trace/ccm/sdl/SDL001_100_000085.txt.gz", {0}),
        (False, "syslog/messages", {1}),
        (False, "syslog/messages.1", {1}),
        (False, "syslog/CiscoSyslog", set()),
        (False, "tomcat/logs/catalina.out", {2, 3}),
        (False, "tomcat/logs/axl/log4j/axl1.log", {4}),
        (True, "tomcat/logs/axl/log4j/axl1.log", {2, 4}),
        (True, "cm/trace/ccm/sdlx/a", set()),
        (True, "syslog/old/messages.2", {1}),
        (True, "syslog/" + "old/" * 1000 + "messages.2", {1}),
        (False, "active_2026.tgz", set()),
    ],
)
def test_paths_of_a_file(recurs, file, positions):
    paths = (
        "/cm/trace//ccm/sdl/",
        "syslog/messages*",
        "tomcat/logs",
        "tomcat/logs/catalina.out",
        "tomcat/logs/axl/log4j",
    )
    assert Paths(paths, recurs=recurs).of(file) == positions


def test_the_only_path_takes_all():
    assert Paths(["syslog/messages*"]).of("a/name/of/the/nodes/own") == {0}
    assert Paths(["*", "install_log*"]).of("install_log.1") == {0, 1}


def test_gaps_of_each_path():
    found = [
        PathFound("sdl", [trace("12:00", "15:30")], "6h"),
        PathFound(
            "cti",
            [
                trace("13:30", "15:30", "cti/1"),
                trace("13:10", "14:30", "cti/2"),
                trace("12:00", "14:15", "cti/3"),
            ],
            "6h",
        ),
        PathFound("syslog/m*", None, "6h"),
        PathFound("audit", None),
        PathFound("core", [Trace("core", unknown=1)], "6h"),
        PathFound("log", [trace("14:00", "14:30", unknown=1)], "6h"),  # they may be in that one
        PathFound("calllogs", [trace("13:32", "15:30", "calllogs/calllogs")]),
    ]
    assert find_gaps(found, WINDOW, BERLIN) == (
        Gap("cti", "begin", None, 30 * 60, utc("12:30"), "cti/1"),
        Gap("cti", "begin", None, 10 * 60, utc("12:10"), "cti/2"),
        Gap("cti", "end", "6h", 30 * 60, utc("13:30"), "cti/2"),
        Gap("cti", "end", "6h", 45 * 60, utc("13:15"), "cti/3"),
        Gap("syslog/m*", "all", "6h"),
        Gap("audit", "all"),
        Gap("calllogs", "begin", None, 32 * 60, utc("12:32")),
    )


@pytest.mark.parametrize(
    ("begin", "end", "missing", "minutes"),
    [
        ("15:30", "16:00", "begin", 120),  # all of the window, and no more than that
        ("12:00", "12:30", "end", 120),
        ("14:59", "15:30", "begin", 119),
    ],
)
def test_at_most_the_window_is_missing(begin, end, missing, minutes):
    (gap,) = find_gaps([PathFound("x", [trace(begin, end)])], WINDOW, BERLIN)
    assert (gap.missing, gap.seconds) == (missing, minutes * 60)


def test_an_unclear_time_is_not_named():
    wrong = Clock(BERLIN.zone, timedelta(minutes=-10))
    (gap,) = find_gaps([PathFound("x", [trace("13:32", "15:30")])], WINDOW, wrong)
    assert (gap.seconds, gap.at) == (32 * 60, utc("12:32")), "it is what its clock shows"
    (gap,) = find_gaps(
        [PathFound("x", [trace("2026-11-26 09:00", None)])], RequestedWindow(WINDOW.since), Clock()
    )
    assert (gap.seconds, gap.at) == (7 * 3600, None)
    twice = RequestedWindow(since=datetime(2026, 10, 24, 12, tzinfo=UTC))
    (gap,) = find_gaps([PathFound("x", [trace("2026-10-25 02:30", None)])], twice, BERLIN)
    assert (gap.seconds, gap.at) == (12.5 * 3600, None)


def test_missing_paths_and_their_option():
    gaps = [Gap("a", "all", "6h"), Gap("b", "end", "always"), Gap("c", "all"), Gap("d", "begin")]
    assert describe([trace("12:00", "15:30")], WINDOW, BERLIN, 0, gaps) == (
        "covers 13:00 to 15:00 (Europe/Berlin); nothing came of a, c; "
        "files that are written to for longer come with start --written-for always"
    )
    assert describe([], WINDOW, BERLIN, 0, [Gap("a", "all")]) == "nothing came of a"
    many = [Gap(name, "all") for name in "abcde"]
    assert describe([], WINDOW, BERLIN, 0, many) == "nothing came of a, b, c and 2 more"
    hostile = describe([], WINDOW, BERLIN, 0, [Gap("x" * 5000 + "\n", "all")])
    assert len(hostile) < 200
    assert hostile.isprintable()


# In the middle


@pytest.mark.parametrize(
    ("before", "after", "quiet"),
    [
        ("SDL001_100_000123.txt", "SDL001_100_000124.txt.gz", True),
        ("SDL001_100_000123.txt", "SDL001_100_000126.txt", False),
        ("SDL001_100_000123.txt", "SDL001_200_000124.txt", False),
        ("messages.1", "messages", True),
        ("messages.2", "messages", False),
        ("a.log.2026-11-30", "a.log.2026-12-01", True),
        ("a.log.2026-11-24", "a.log.2026-11-26", False),
        ("a.20261130.log", "a.20261201.log", True),
        ("a00000099.log", "a00000100.log", True),
        ("a00000099.log.gz.2", "a00000100.log.gz", True),
    ],
)
def test_names_show_that_nothing_is_missing(before, after, quiet):
    files = [file(f"x/{before}", "12:00", "13:20"), file(f"x/{after}", "13:50", "15:00")]
    gaps = find_gaps([PathFound("x", [Trace("x", files)])], WINDOW, BERLIN)
    missing = Gap("x", "middle", None, 30 * 60, utc("12:20"), until=utc("12:50"))
    assert gaps == (() if quiet else (missing,))


@pytest.mark.parametrize(
    ("other", "gaps"),
    [
        ([], 1),
        ([file("b1", "13:15", "13:55")], 0),  # of another process, which wrote meanwhile
        ([file("a2", "13:20:50", "13:49:30")], 0),  # less than a minute on both sides
        ([file("a2", "13:20", None)], 0),  # whose end is not known
    ],
)
def test_other_files_fill_gaps(other, gaps):
    files = [file("a1", "12:00", "13:20"), *other, file("a9", "13:50", "15:00")]
    (log,) = cover_logs([Trace("x", files)], WINDOW, BERLIN)
    assert len(log.spans) == 1 + gaps
    assert len(find_gaps([PathFound("x", [Trace("x", files)])], WINDOW, BERLIN)) == gaps


def test_gaps_end_with_the_window():
    files = [file("a1", "12:00", "12:30"), file("a5", "13:10", "14:59:30"), file("a9", "15:30")]
    (gap,) = find_gaps([PathFound("x", [Trace("x", files)])], WINDOW, BERLIN)
    assert (gap.missing, gap.seconds, gap.at) == ("middle", 10 * 60, utc("11:30"))


def every_minute(count: int) -> Trace:
    """Makes files of 20 seconds each, which do not follow each other by name."""
    begin = datetime(2026, 11, 25, 13)
    starts = [begin + timedelta(minutes=2 * number) for number in range(count)]
    return Trace("x", [file(f"a{2 * n}", f"{at}", f"{at + LENGTH}") for n, at in enumerate(starts)])


LENGTH = timedelta(seconds=20)


def test_few_gaps_of_a_path_are_named():
    found = find_gaps([PathFound("x", [every_minute(10)])], RequestedWindow(), BERLIN)
    assert [gap.missing for gap in found] == ["middle"] * MOST_MIDDLE
    said = describe([every_minute(10)], WINDOW, BERLIN)
    assert said.startswith("has nothing from 13:00 to 13:02, 1 min missing, has nothing")
    assert "has 6 shorter gaps" in said


def test_spans_of_logs_are_limited():
    longest = every_minute(200)
    longest.files.append(file("a999", "23:00", "23:30"))
    few = [Trace(f"{number:03}{'😀' * 80}", longest.files) for number in range(MOST_LOGS + 10)]
    (log,) = cover_logs([longest], RequestedWindow(), BERLIN)
    assert len(log.spans) == MOST_SPANS
    assert log.spans[-1].end - log.spans[-1].begin == timedelta(minutes=30), "after the longest gap"
    logs = cover_logs(few, RequestedWindow(), BERLIN)
    assert len(logs) == MOST_LOGS
    assert sum(len(log.spans) for log in logs) <= MOST_SPANS_OF_NODE
    assert 1000 * len(msgspec.json.encode(logs)) < LONGEST_REPLY / 2, "there is more in a reply"


def test_incomplete_logs_are_kept_first():
    complete = [trace("12:00", "15:30", f"a{number:03}") for number in range(MOST_LOGS)]
    logs = cover_logs([*complete, trace("14:00", "15:30", "z")], WINDOW, BERLIN)
    assert logs[-1] == LogCoverage("z", (Span(utc("13:00"), WINDOW.until),))


def test_unread_files_may_fill_gaps():
    files = [file("a1", "12:00", "13:20"), file("a9", "13:50", "15:00")]
    unclear = Trace("x", files, unknown=1)
    (log,) = cover_logs([unclear], WINDOW, BERLIN)
    assert (len(log.spans), log.unclear) == (2, True)
    assert find_gaps([PathFound("x", [unclear])], WINDOW, BERLIN) == ()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("cm/trace/ccm/sdl/SDL001_100_000085.txt.gz", "cm/trace/ccm/sdl/SDL*.txt"),
        ("cm/trace/ccm/sdl/SDL001_100_000086.txt.gzo", "cm/trace/ccm/sdl/SDL*.txt"),
        (with_number("sdl/SDL001_100_000085.txt.gz", 2), "sdl/SDL*.txt"),
        ("syslog/messages", "syslog/messages"),
        ("syslog/messages.1", "syslog/messages"),
        ("cm/trace/cdrrep/log4j/cdrrep00012.log", "cm/trace/cdrrep/log4j/cdrrep*.log"),
        ("a.log.2026-11-25", "a.log"),
        ("100", ""),
    ],
)
def test_names_of_traces(path, name):
    assert trace_name(path) == name


stamps = st.builds(
    Stamp,
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),
    st.none() | st.timedeltas(-timedelta(hours=14), timedelta(hours=14)),
)
clocks = st.builds(
    Clock,
    st.sampled_from([None, UTC, BERLIN.zone, NEW_YORK.zone]),
    st.timedeltas(-timedelta(days=3660), timedelta(days=3660)),
)
moments = st.none() | st.datetimes(
    datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)
)
files = st.builds(
    TraceFile, st.text(), st.builds(FirstStamp, stamps, st.just("log4j")), st.none() | stamps
)
traces = st.builds(
    Trace,
    st.text(),
    st.lists(files, max_size=5),
    st.integers(0, 2),
    st.booleans(),
    st.text(),
)
gaps = st.builds(
    Gap,
    st.text(),
    st.sampled_from(["all", "begin", "end"]),
    st.sampled_from([None, "1h", "6h", "always"]),
)


@given(st.lists(traces), st.builds(RequestedWindow, moments, moments), clocks, st.lists(gaps))
def test_no_traces_raise(some, window, clock, missing):
    describe(some, window, clock, 0, missing)
    find_gaps([PathFound("x", some)], window, clock)
    for log in cover_logs(some, window, clock):
        assert all(span.begin <= span.end for span in log.spans)
        assert all(before.end < after.begin for before, after in pairwise(log.spans))


@given(st.lists(st.text(alphabet="ab/*.1"), min_size=2), st.text(alphabet="ab/.1"), st.booleans())
def test_any_names_can_be_compared(paths, file, recurs):
    assert Paths(paths, recurs=recurs).of(file) <= set(range(len(paths)))


@given(stamps, moments, clocks)
def test_covered_holds_for_every_moment(stamp, since, clock):
    one = Trace("x", [TraceFile("x", FirstStamp(stamp, "log4j"), stamp)])
    if since is not None and describe([one], RequestedWindow(since=since), clock).startswith(
        "covers"
    ):
        possible = possible_moments(stamp, clock)
        assert possible is not None
        assert possible[1] < since + timedelta(minutes=1)
