"""A window is never narrower than what was asked for, whatever the node's clock does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cucmd.job import Collect
from cucmd.vos import AbsTime, InvalidArgument, RelTime, needs_zone, parse_last, window_for

NOW = datetime(2026, 11, 25, 10, 15, 59, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def window(zone=BERLIN, now=NOW, **fields):
    return window_for(Collect(paths=("x",), **fields), now, zone)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("30m", "reltime minutes 30"),
        ("2h", "reltime hours 2"),
        ("3d", "reltime days 3"),
        ("1w", "reltime weeks 1"),
        ("1mo", "reltime months 1"),
        ("90s", "reltime minutes 2"),
        ("1s", "reltime minutes 1"),
        ("1h30m", "reltime minutes 90"),
        ("1d12h", "reltime hours 36"),
        ("1mo1d", "reltime days 32"),
    ],
)
def test_last_in_the_smallest_unit_that_covers_it(last, expected):
    assert str(window(last=last)) == expected


@pytest.mark.parametrize(
    ("last", "waited", "expected"),
    [
        ("2h", timedelta(seconds=-5), "reltime hours 2"),  # our clock was set back
        ("2h", timedelta(seconds=59), "reltime hours 2"),
        ("2h", timedelta(hours=3), "reltime minutes 300"),
        ("15m", timedelta(seconds=3001), "reltime minutes 66"),
        ("3d", timedelta(minutes=10), "reltime hours 73"),
        ("1mo", timedelta(hours=2), "reltime hours 746"),
    ],
)
def test_last_counts_from_when_it_was_asked_for(last, waited, expected):
    collection = Collect(paths=("x",), last=last)
    assert str(window_for(collection, NOW, None, asked_at=NOW - waited)) == expected


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
def test_a_last_of_long_ago_is_the_smaller_window(zone, waited, expected):
    asked_at = NOW - waited
    hours = {"since": asked_at - timedelta(hours=2), "until": asked_at}
    collection = Collect(paths=("x",), last="2h", **hours)
    assert str(window_for(collection, NOW, zone, asked_at=asked_at)) == expected


def test_an_end_is_never_in_the_hour_that_the_clock_leaves_out():
    until = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)  # 01:59:30 in Berlin, and then 03:00
    assert str(window(until=until)).endswith(" 03:00:03/29/26")


@pytest.mark.parametrize(
    "last", ["", "2", "h", "0h", "-1h", "1.5h", "2 h", "2H", "1y", "\uff12h", "9999999m", "99999w"]
)
def test_no_duration(last):
    with pytest.raises(InvalidArgument, match="last"):
        window(last=last)
    with pytest.raises(ValueError, match="expected a duration"):
        parse_last(last)


def test_every_file():
    assert window() is None
    assert not needs_zone(Collect(paths=("x",)))
    assert not needs_zone(Collect(paths=("x",), last="2h"))


def test_absolute_times_by_the_nodes_clock_in_whole_minutes():
    since = datetime(2026, 11, 25, 9, 0, 59, tzinfo=UTC)
    until = datetime(2026, 11, 25, 10, 0, 1, tzinfo=UTC)
    assert str(window(since=since, until=until)) == "abstime 10:00:11/25/26 11:01:11/25/26"
    assert needs_zone(Collect(paths=("x",), since=since))
    assert needs_zone(Collect(paths=("x",), until=until))


def test_an_open_end_is_soon_and_an_open_start_before_any_file():
    day = datetime(2026, 11, 25, tzinfo=UTC)
    assert str(window(UTC, since=day)) == "abstime 00:00:11/25/26 11:16:11/25/26"
    assert str(window(UTC, until=day)) == "abstime 00:00:01/01/01 00:00:11/25/26"


def test_far_future_and_far_past_stay_in_the_nodes_two_digits():
    wide = window(
        UTC, since=datetime(1, 1, 1, tzinfo=UTC), until=datetime(9999, 12, 31, tzinfo=UTC)
    )
    assert str(wide) == "abstime 00:00:01/01/01 10:16:11/26/27"


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        # 25 October 2026, 03:00 back to 02:00: 02:30 is shown twice
        ("2026-10-25T00:30Z", "2026-10-25T01:30Z", "abstime 01:30:10/25/26 03:30:10/25/26"),
        ("2026-10-25T01:30Z", "2026-10-25T00:30Z", None),
        ("2026-10-24T23:59Z", "2026-10-25T02:00Z", "abstime 01:59:10/25/26 03:00:10/25/26"),
        # 29 March 2026, 02:00 on to 03:00: 02:30 is never shown
        ("2026-03-29T00:59Z", "2026-03-29T01:00Z", "abstime 01:59:03/29/26 03:00:03/29/26"),
    ],
)
def test_when_the_clock_is_changed(since, until, expected):
    times = {
        "since": datetime.fromisoformat(since),
        "until": datetime.fromisoformat(until),
    }
    if expected is None:
        with pytest.raises(InvalidArgument, match="later than the end"):
            window(**times)
    else:
        assert str(window(**times)) == expected


def test_a_time_without_zone_is_refused():
    with pytest.raises(InvalidArgument, match=r"since .*has no time zone"):
        window(since=datetime(2026, 11, 25))


ZONES = st.sampled_from(
    [
        "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
        "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Etc/GMT+12",
        "Africa/Casablanca", "Pacific/Apia",
    ]
).map(ZoneInfo)  # fmt: skip
MOMENTS = st.datetimes(datetime(2002, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@given(
    zone=ZONES, known=st.booleans(), since=MOMENTS, length=st.timedeltas(timedelta(), timedelta(40))
)
@example(
    zone=ZoneInfo("Australia/Lord_Howe"),
    known=True,
    since=datetime(2026, 4, 4, 15, 15, tzinfo=UTC),
    length=timedelta(),
)
def test_whatever_the_clock_shows_the_window_covers_what_was_asked_for(zone, known, since, length):
    until = since + length
    found = window(zone if known else None, now=until, since=since, until=until)
    assert isinstance(found, AbsTime)
    for fold in (0, 1):  # a node may take a time that its clock shows twice either way
        assert found.start.replace(tzinfo=zone, fold=fold).astimezone(UTC) <= since
        assert found.end.replace(tzinfo=zone, fold=fold).astimezone(UTC) >= until


@given(st.integers(1, 500), st.sampled_from("smhdw"))
def test_last_is_never_narrower(n, unit):
    asked = parse_last(f"{n}{unit}")
    found = window(last=f"{n}{unit}")
    assert isinstance(found, RelTime)
    assert timedelta(**{found.unit: found.n}) >= asked


@given(st.text(max_size=12))
def test_a_duration_or_a_clear_refusal(text):
    try:
        length = parse_last(text)
    except ValueError:
        return
    assert length > timedelta()
    assert text.isascii()
