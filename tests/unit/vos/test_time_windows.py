"""A time window is never narrower than the request, whatever the node's clock does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cucmd.job.collect import Collect
from cucmd.job.duration import next_written_for, parse_last, parse_written_for
from cucmd.vos import InvalidArgument, make_window, needs_time_zone
from cucmd.vos.time_window import AbsTime, RelTime

NOW = datetime(2026, 11, 25, 10, 15, 59, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def window(zone=BERLIN, now=NOW, *, written_for="1s", ahead=timedelta(), **fields):
    """Makes the window of a file that is written at once, unless `written_for` is given."""
    collection = Collect(paths=("x",), **fields)
    return make_window(collection, now, zone, ahead, written_for=written_for)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("2h", "reltime hours 2"),
        ("1w", "reltime weeks 1"),
        ("1mo", "reltime months 1"),
        ("90s", "reltime minutes 2"),
        ("1h30m", "reltime minutes 90"),
        ("1d12h", "reltime hours 36"),
        ("1mo1d", "reltime days 32"),
    ],
)
def test_last_in_its_smallest_unit(last, expected):
    assert str(window(last=last)) == expected


@pytest.mark.parametrize(
    ("last", "waited", "expected"),
    [
        ("2h", timedelta(seconds=-5), "reltime hours 2"),  # our clock was set back
        ("2h", timedelta(hours=3), "reltime minutes 300"),
        ("3d", timedelta(minutes=10), "reltime hours 73"),
        ("1mo", timedelta(hours=2), "reltime hours 746"),
    ],
)
def test_last_counts_from_request(last, waited, expected):
    collection = Collect(paths=("x",), last=last)
    assert str(make_window(collection, NOW, None, asked_at=NOW - waited)) == expected


@pytest.mark.parametrize(
    ("zone", "waited", "expected"),
    [
        (BERLIN, timedelta(hours=1), "reltime minutes 180"),
        (BERLIN, timedelta(minutes=61), "abstime 08:14:11/25/26 11:15:11/25/26"),
        # The hours of the request would be widened by 26 hours, to fit every zone.
        (None, timedelta(minutes=61), "reltime minutes 181"),
        (None, timedelta(hours=26), "reltime minutes 1680"),
        (None, timedelta(hours=27), "abstime 17:15:11/23/26 22:16:11/24/26"),
    ],
)
def test_last_of_old_request(zone, waited, expected):
    asked_at = NOW - waited
    hours = {"since": asked_at - timedelta(hours=2), "until": asked_at}
    collection = Collect(paths=("x",), last="2h", **hours)
    assert str(make_window(collection, NOW, zone, asked_at=asked_at)) == expected


def test_end_is_not_in_skipped_hour():
    until = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)  # 01:59:30 in Berlin, and then 03:00
    assert str(window(until=until)).endswith(" 03:00:03/29/26")
    an_hour_before = until - timedelta(hours=1)
    assert str(window(until=an_hour_before, written_for="1h")).endswith(" 03:00:03/29/26")


@pytest.mark.parametrize(
    "last", ["", "2", "h", "0h", "-1h", "1.5h", "2 h", "2H", "1y", "\uff12h", "9999999m", "99999w"]
)
def test_refuses_duration(last):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_last(last)


def test_no_window():
    assert window() is None
    assert not needs_time_zone(Collect(paths=("x",)))
    assert not needs_time_zone(Collect(paths=("x",), last="2h"))


def test_absolute_window_in_whole_minutes():
    since = datetime(2026, 11, 25, 9, 0, 59, tzinfo=UTC)
    until = datetime(2026, 11, 25, 10, 0, 1, tzinfo=UTC)
    assert str(window(since=since, until=until)) == "abstime 10:00:11/25/26 11:01:11/25/26"
    assert needs_time_zone(Collect(paths=("x",), since=since))
    assert needs_time_zone(Collect(paths=("x",), until=until))


def test_open_end_and_open_start():
    day = datetime(2026, 11, 25, tzinfo=UTC)
    assert str(window(UTC, since=day)) == "abstime 00:00:11/25/26 11:16:11/25/26"
    assert str(window(UTC, until=day)) == "abstime 00:00:01/01/01 00:01:11/25/26"


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        # 25 October 2026, 03:00 back to 02:00: 02:30 is shown twice
        ("2026-10-25T00:30Z", "2026-10-25T01:29Z", "abstime 01:30:10/25/26 03:30:10/25/26"),
        ("2026-10-25T01:30Z", "2026-10-25T00:30Z", None),
        ("2026-10-24T23:59Z", "2026-10-25T01:59Z", "abstime 01:59:10/25/26 03:00:10/25/26"),
        # 29 March 2026, 02:00 on to 03:00: 02:30 is never shown
        ("2026-03-29T00:58Z", "2026-03-29T00:59Z", "abstime 01:58:03/29/26 03:00:03/29/26"),
    ],
)
def test_window_across_clock_change(since, until, expected):
    times = {
        "since": datetime.fromisoformat(since),
        "until": datetime.fromisoformat(until),
    }
    if expected is None:
        with pytest.raises(InvalidArgument, match="later than the end"):
            window(**times)
    else:
        assert str(window(**times)) == expected


# A node chooses files by their last change: what was written at the end has changed since.

UNTIL = datetime(2026, 11, 25, 7, tzinfo=UTC)  # 08:00 in Berlin, three hours before NOW


@pytest.mark.parametrize(
    ("until", "written_for", "end"),
    [
        (UNTIL, "1h", "09:00:11/25/26"),
        (UNTIL, "1h30m", "09:30:11/25/26"),
        # Never beyond the present, with the margin of a window without an end: 11:15:59, and 1 h.
        (UNTIL, "always", "12:16:11/25/26"),
        (UNTIL, "6h", "12:16:11/25/26"),
        (NOW - timedelta(minutes=5, seconds=59), "1h", "12:10:11/25/26"),
        (NOW + timedelta(days=3), "1h", "12:16:11/25/26"),
        (None, "1h", "12:16:11/25/26"),
        # Over the end of a day, a month and a year, and a leap day.
        (datetime(2026, 10, 31, 22, 30, tzinfo=UTC), "1h", "00:30:11/01/26"),
        (datetime(2024, 2, 28, 22, 30, tzinfo=UTC), "1d", "23:30:02/29/24"),
        # 2026-10-25, 03:00 back to 02:00: 02:30 comes twice, so it is 03:30 for both.
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "1h", "03:30:10/25/26"),
        (datetime(2026, 10, 24, 23, 30, tzinfo=UTC), "1h", "03:30:10/25/26"),
        # 2026-03-29, 02:00 on to 03:00.
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "1h", "03:30:03/29/26"),
    ],
)
def test_end_is_later_by_written_for(until, written_for, end):
    since = datetime(2024, 1, 1, tzinfo=UTC)
    found = window(since=since, until=until, written_for=written_for)
    assert str(found).split()[-1] == end


@pytest.mark.parametrize(
    ("ahead", "end"),
    [
        (timedelta(minutes=30), "09:30:11/25/26"),  # its files have times of that clock
        (timedelta(minutes=-30), "09:00:11/25/26"),  # or right ones, from before it was set
    ],
)
def test_end_on_wrong_clock(ahead, end):
    found = window(since=UNTIL, until=UNTIL, written_for="1h", ahead=ahead)
    assert str(found).split()[-1] == end


@pytest.mark.parametrize("written_for", ["", "now", "1", "0s", "-1h", "Always", "1h "])
def test_refuses_written_for(written_for):
    with pytest.raises(ValueError, match="expected"):
        parse_written_for(written_for)


@pytest.mark.parametrize(
    ("written_for", "hours", "next_one"),
    [
        ("1h", 1, None),  # the request covered everything
        ("1h", 2, "6h"),
        ("1d", 1000, "1w"),
        ("2w", 1000, "always"),
        ("always", 1000, None),
    ],
)
def test_next_longer_time(written_for, hours, next_one):
    assert next_written_for(written_for, UNTIL, UNTIL + timedelta(hours=hours)) == next_one


ZONES = st.sampled_from(
    [
        "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
        "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Etc/GMT+12",
        "Africa/Casablanca", "Pacific/Apia",
    ]
).map(ZoneInfo)  # fmt: skip
MOMENTS = st.datetimes(datetime(2002, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@given(
    zone=ZONES,
    known=st.booleans(),
    since=MOMENTS,
    length=st.timedeltas(timedelta(), timedelta(40)),
    written_for=st.sampled_from(["1s", "1h", "1d", "always"]),
    passed=st.timedeltas(timedelta(), timedelta(10)),
)
@example(
    zone=ZoneInfo("Australia/Lord_Howe"),
    known=True,
    since=datetime(2026, 4, 4, 15, 15, tzinfo=UTC),
    length=timedelta(),
    written_for="1h",
    passed=timedelta(),
)
def test_window_covers_the_request(zone, known, since, length, written_for, passed):
    until = since + length
    now = until + passed
    found = window(zone if known else None, now, since=since, until=until, written_for=written_for)
    written = parse_written_for(written_for)
    changed = now if written is None else min(until + written, now)
    assert isinstance(found, AbsTime)
    for fold in (0, 1):  # a node may take a time that its clock shows twice either way
        assert found.start.replace(tzinfo=zone, fold=fold).astimezone(UTC) <= since
        assert found.end.replace(tzinfo=zone, fold=fold).astimezone(UTC) >= changed
    # Nor much later than that, where the zone is known: half an hour of last week is not days. The
    # third hour is for a clock that is set back just then, as in Casablanca on 2027-02-07.
    if known:
        latest = changed + timedelta(hours=3, minutes=2)
        assert found.end.replace(tzinfo=zone, fold=0).astimezone(UTC) <= latest


@given(st.integers(1, 500), st.sampled_from("smhdw"))
def test_last_is_never_narrower(n, unit):
    asked = parse_last(f"{n}{unit}")
    found = window(last=f"{n}{unit}")
    assert isinstance(found, RelTime)
    assert timedelta(**{found.unit: found.n}) >= asked
