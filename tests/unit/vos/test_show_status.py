"""The node's time zone, if it is certain."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.node.resolver import find_zone
from cucmd.vos import ShowStatus, find_node_time, parse_machine
from cucmlab.answers import LabMember, NodeFacts, status


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Central European Standard Time (Europe/Berlin)", "Europe/Berlin"),
        ("CET (GMT+01:00) (Europe/Berlin)", "Europe/Berlin"),
        ("EST/EDT (America/New_York)", "America/New_York"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Greenwich Mean Time (Etc/GMT)", "Etc/GMT"),
    ],
)
def test_a_zone_by_its_name(said, zone):
    lines = ["Host Name          : cucm-pub", f"Time Zone          : {said}", "Uptime:"]
    assert find_node_time(parse_machine(lines), find_zone).zone == ZoneInfo(zone)


def test_a_zone_by_an_old_name():
    pacific = ZoneInfo("America/Los_Angeles")
    # Debian has these names in a package of their own, which is not everywhere: tzdata-legacy.
    legacy = {"US/Pacific": pacific}
    assert find_node_time(parse_machine(["Time Zone : US/Pacific"]), legacy.get).zone is pacific


def test_utc_by_itself():
    assert (
        find_node_time(
            parse_machine(["Time Zone : Coordinated Universal Time (UTC)"]), find_zone
        ).zone
        is UTC
    )
    assert find_node_time(parse_machine(["Time Zone : UTC"]), find_zone).zone is UTC


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Host Name : cucm-pub"],
        ["Executed command unsuccessfully"],
        ["Time Zone :"],
        ["Time Zone : CST"],
        ["Time Zone : GMT"],
        ["Time Zone : Europe/Atlantis"],
        ["Time Zone : Europe/Atlantis (UTC)"],
        ["Time Zone : America/Indiana"],
        ["Time Zone : ../../etc/localtime"],
        ["Time Zone : /etc/localtime"],
        ["Time Zone : localtime"],
        ["Time Zone : " + "a/" * 4000 + "b"],
    ],
)
def test_what_is_not_certain_is_not_known(lines):
    assert find_node_time(parse_machine(lines), find_zone).zone is None


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Etc/UTC"])
def test_as_the_lab_says_it(name):
    member = LabMember(1, "127.1.0.1")
    here = NodeFacts(member, [member], datetime(2026, 11, 25, tzinfo=UTC), ZoneInfo(name), used=63)
    lines = status(here, [])
    assert find_node_time(parse_machine(lines), find_zone).zone == ZoneInfo(name)
    now = datetime(2026, 11, 25, 2, tzinfo=UTC)
    assert find_node_time(parse_machine(lines), find_zone).ahead(now) == timedelta(hours=-2)


@pytest.mark.parametrize(
    ("said", "zone", "off"),
    [
        ("Wed Nov 25, 2026 10:15:59", "Europe/Berlin", timedelta()),
        ("Wed Nov 25, 2026 10:16:00", "Europe/Berlin", timedelta(minutes=1)),
        ("Wed Nov 25, 2026 10:15:58", "Europe/Berlin", timedelta(minutes=-1)),
        ("Wed Nov 25, 2026 11:15:59", "Europe/Berlin", timedelta(hours=1)),
        ("Wed Nov 25, 2026 09:15:59", "Europe/Berlin", timedelta(hours=-1)),
        ("Wed Nov 25, 2026 11:14:30", "Europe/Berlin", timedelta(minutes=59)),
        ("Wed Nov 25, 2026 09:16:30", "Europe/Berlin", timedelta(minutes=-60)),
        ("nov 26 2026 10:15:59", "Europe/Berlin", timedelta(days=1)),
        ("Sat Jan 1, 2000 00:00:00", "Europe/Berlin", timedelta()),  # not to be believed
        ("Wed Nov 25, 2026 11:15:59", "Europe/Atlantis", timedelta()),
        ("Wed Nov 31, 2026 11:15:59", "Europe/Berlin", timedelta()),
        ("Wed Foo 25, 2026 11:15:59", "Europe/Berlin", timedelta()),
        ("25.11.2026 11:15:59", "Europe/Berlin", timedelta()),
        ("Wed Nov 25, 9999 11:15:59", "Europe/Berlin", timedelta()),
        ("Wed Nov 25, 0000 11:15:59", "Europe/Berlin", timedelta()),
    ],
)
def test_how_far_the_clock_is_off(said, zone, off):
    now = datetime(2026, 11, 25, 9, 15, 59, tzinfo=UTC)
    found = find_node_time(
        parse_machine([f"Date               : {said}", f"Time Zone : {zone}"]), find_zone
    )
    assert found.ahead(now) == off


def test_the_hour_that_is_shown_twice_is_no_hour_off():
    lines = ["Date : Sun Oct 25, 2026 02:30:00", "Time Zone : Europe/Berlin"]
    for hour in (0, 1):
        now = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        assert find_node_time(parse_machine(lines), find_zone).ahead(now) == timedelta()


@given(
    st.lists(st.one_of(st.text(), st.text().map(lambda text: f"Time Zone : {text}")), max_size=4)
)
def test_never_raises(lines):
    find_node_time(parse_machine(lines), find_zone)


@given(
    st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(2999, 12, 31)),
    st.sampled_from(["Europe/Berlin", "Pacific/Apia", "Etc/UTC", "Pacific/Kiritimati"]),
)
def test_no_date_is_too_strange(clock, zone):
    found = ShowStatus(ZoneInfo(zone), clock)
    assert abs(found.ahead(datetime(2026, 11, 25, tzinfo=UTC))) < timedelta(days=3660)
