"""The time zone and the clock of a node."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.node.resolver import find_zone
from cucmd.vos import ShowStatus, find_node_time, parse_machine


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Central European Standard Time (Europe/Berlin)", "Europe/Berlin"),
        ("CET (GMT+01:00) (Europe/Berlin)", "Europe/Berlin"),
        ("EST/EDT (America/New_York)", "America/New_York"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Greenwich Mean Time (Etc/GMT)", "Etc/GMT"),
        ("Coordinated Universal Time (UTC)", "UTC"),
        ("UTC", "UTC"),
    ],
)
def test_zone_by_its_name(text, zone):
    lines = ["Host Name          : cucm-pub", f"Time Zone          : {text}", "Uptime:"]
    found = find_node_time(parse_machine(lines), find_zone).zone
    assert found == (UTC if zone == "UTC" else ZoneInfo(zone))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Time Zone :"],
        ["Time Zone : CST"],
        ["Time Zone : GMT"],
        ["Time Zone : Europe/Atlantis"],
        ["Time Zone : Europe/Atlantis (UTC)"],
        ["Time Zone : America/Indiana"],
        ["Time Zone : ../../etc/localtime"],
        ["Time Zone : " + "a/" * 4000 + "b"],
    ],
)
def test_uncertain_zone_is_unknown(lines):
    assert find_node_time(parse_machine(lines), find_zone).zone is None


@pytest.mark.parametrize(
    ("text", "zone", "off"),
    [
        ("Wed Nov 25, 2026 10:15:59", "Europe/Berlin", timedelta()),
        ("Wed Nov 25, 2026 10:16:00", "Europe/Berlin", timedelta(minutes=1)),
        ("Wed Nov 25, 2026 10:15:58", "Europe/Berlin", timedelta(minutes=-1)),
        ("Wed Nov 25, 2026 11:15:59", "Europe/Berlin", timedelta(hours=1)),
        ("Wed Nov 25, 2026 09:15:59", "Europe/Berlin", timedelta(hours=-1)),
        ("nov 26 2026 10:15:59", "Europe/Berlin", timedelta(days=1)),
        ("Sat Jan 1, 2000 00:00:00", "Europe/Berlin", timedelta()),  # not plausible
        ("Wed Nov 25, 2026 11:15:59", "Europe/Atlantis", timedelta()),
        ("Wed Nov 31, 2026 11:15:59", "Europe/Berlin", timedelta()),
        ("Wed Foo 25, 2026 11:15:59", "Europe/Berlin", timedelta()),
        ("25.11.2026 11:15:59", "Europe/Berlin", timedelta()),
    ],
)
def test_clock_ahead(text, zone, off):
    now = datetime(2026, 11, 25, 9, 15, 59, tzinfo=UTC)
    found = find_node_time(
        parse_machine([f"Date               : {text}", f"Time Zone : {zone}"]), find_zone
    )
    assert found.ahead(now) == off


def test_clock_in_repeated_hour():
    lines = ["Date : Sun Oct 25, 2026 02:30:00", "Time Zone : Europe/Berlin"]
    for hour in (0, 1):
        now = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        assert find_node_time(parse_machine(lines), find_zone).ahead(now) == timedelta()


@given(
    st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(2999, 12, 31)),
    st.sampled_from(["Europe/Berlin", "Pacific/Apia", "Etc/UTC", "Pacific/Kiritimati"]),
)
def test_any_date(clock, zone):
    found = ShowStatus(ZoneInfo(zone), clock)
    assert abs(found.ahead(datetime(2026, 11, 25, tzinfo=UTC))) < timedelta(days=3660)
