"""The node's time zone, if it is certain."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.lab.answers import Member, status
from cucmd.vos import parse_show_status


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Central European Standard Time (Europe/Berlin)", "Europe/Berlin"),
        ("CET (GMT+01:00) (Europe/Berlin)", "Europe/Berlin"),
        ("EST/EDT (America/New_York)", "America/New_York"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Greenwich Mean Time (Etc/GMT)", "Etc/GMT"),
        ("US/Pacific", "US/Pacific"),
    ],
)
def test_a_zone_by_its_name(said, zone):
    lines = ["Host Name          : cucm-pub", f"Time Zone          : {said}", "Uptime:"]
    assert parse_show_status(lines).zone == ZoneInfo(zone)


def test_utc_by_itself():
    assert parse_show_status(["Time Zone : Coordinated Universal Time (UTC)"]).zone is UTC
    assert parse_show_status(["Time Zone : UTC"]).zone is UTC


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
    assert parse_show_status(lines).zone is None


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Etc/UTC"])
def test_as_the_lab_says_it(name):
    lines = status(Member(1, "127.1.0.1"), datetime(2026, 11, 25, tzinfo=UTC), ZoneInfo(name))
    assert parse_show_status(lines).zone == ZoneInfo(name)


@given(
    st.lists(st.one_of(st.text(), st.text().map(lambda text: f"Time Zone : {text}")), max_size=4)
)
def test_never_raises(lines):
    parse_show_status(lines)
