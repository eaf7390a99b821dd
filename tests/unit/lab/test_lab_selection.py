"""Which files a `file get` or a `file list` means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cucmd.lab.files import Shape, VirtualFile, files_of
from cucmd.lab.selection import (
    CommandRefused,
    FileList,
    listing,
    parse_get,
    parse_list,
    parse_tail,
    select,
    select_one,
)

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
FILES = files_of("activelog", 1, Shape(files=8, every=600))


def names(command: str, zone=UTC) -> list[str]:
    return [file.path for file in select(FILES, parse_get(command.split(), NOW, zone), NOW)]


@pytest.mark.parametrize(
    ("spec", "count"),
    [("cm/trace/ccm", 0), ("cm/trace/ccm recurs", 8 + 3 + 3), ("/syslog/mess*", 4)],
)
def test_a_folder_means_its_own_files_and_with_recurs_all_below(spec: str, count: int) -> None:
    assert len(names(f"activelog {spec}")) == count


def test_reltime_counts_back_from_now():
    assert len(names("activelog cm/trace/ccm/sdl reltime minutes 25")) == 3
    assert len(names("activelog cm/trace/ccm/sdl reltime hours 1")) == 6


def test_abstime_is_in_the_nodes_own_zone():
    command = "activelog cm/trace/ccm/sdl abstime 13:35:08/03/26 14:01:08/03/26"
    assert len(names(command, ZoneInfo("Europe/Berlin"))) == 3
    assert names(command) == []


def test_match_is_a_regular_expression():
    assert names("activelog cm/trace/ccm/sdl match 0000(74|75)") == [
        "cm/trace/ccm/sdl/SDL001_100_000074.txt.gz",
        "cm/trace/ccm/sdl/SDL001_100_000075.txt.gz",
    ]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("activelog", "Expected 2 mandatory and up to 7 non-mandatory parameter(s)"),
        ("activelog no/such/place", "no such file or directory can be found"),
        ("activelog syslog reltime fortnights 2", "Invalid reltime: fortnights 2"),
        ("activelog syslog abstime 1:2 3:4", "Invalid abstime: 1:2"),
    ],
)
def test_what_the_node_refuses(command, said):
    with pytest.raises(CommandRefused) as caught:
        names(command)
    assert caught.value.lines[0].startswith(said)


def listed(arguments: str, files=FILES) -> list[str]:
    given = parse_list(["activelog", *arguments.split()])
    return [entry.name for entry in listing(files, given, NOW)]


def test_a_listing_shows_folders_first():
    entries = listing(FILES, FileList("activelog", "cm/trace"), NOW)
    assert [entry.name for entry in entries][:3] == ["capf", "ccm", "cdrrep"]
    assert {entry.size for entry in entries} == {None}
    assert "core" in listed("/")
    (secure,) = listing(FILES, FileList("activelog", "syslog/secure"), NOW)
    assert secure.modified == NOW - timedelta(seconds=100)


UNLIKE = (
    VirtualFile("logs/b", size=2, age=30),
    VirtualFile("logs/c", size=1, age=20),
    VirtualFile("logs/a", size=3, age=10),
    VirtualFile("logs/z/deep", size=0, age=0),
    VirtualFile("logs/y/deep", size=0, age=0),
)


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ("", "yzabc"),
        ("reverse date", "zyacb"),
        ("size", "yzcba"),
        ("size detail page reverse", "zyabc"),
    ],
)
def test_the_order_of_a_listing(options, order):
    assert "".join(listed(f"logs {options}", UNLIKE)) == order


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("logs/c", "logs/c"),
        ("/logs/b*", "logs/b"),
        ("logs/ recent", "logs/a"),
        ("logs/ recent regexp SIP", "logs/a"),
    ],
)
def test_a_tail_means_one_file(arguments: str, name: str) -> None:
    tail = parse_tail(["activelog", *arguments.split()])
    assert select_one(UNLIKE, tail, NOW).path == name
    assert tail.pattern == ("SIP" if "SIP" in arguments else "")


@pytest.mark.parametrize(
    "arguments", ["logs/x", "logs/*", "logs/", "logs/c 30", "logs/c regexp", "logs/c regexp ("]
)
def test_a_tail_of_anything_else_is_refused(arguments: str) -> None:
    with pytest.raises(CommandRefused):
        select_one(UNLIKE, parse_tail(["activelog", *arguments.split()]), NOW)
