"""Tests which files `file get` and `file list` select."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cucmlab.files import Shape, VirtualFile, files_of
from cucmlab.selection import (
    CommandRefused,
    listing,
    parse_get,
    parse_list,
    parse_tail,
    select,
    select_one,
)

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
FILES = files_of("activelog", 1, Shape(files=8, every=600))


def names(command: str) -> list[str]:
    return [file.path for file in select(FILES, parse_get(command.split(), NOW, UTC), NOW)]


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ("cm/trace/ccm", 0),
        ("cm/trace/ccm recurs", 8 + 3 + 3),
        ("/syslog/mess*", 4),
        ("cm/trace/ccm/sdl reltime minutes 25", 3),
        ("cm/trace/ccm/sdl reltime hours 1", 6),
        ("cm/trace/ccm/sdl match 0000(74|75)", 2),
    ],
)
def test_get_selects_files(spec: str, count: int) -> None:
    assert len(names(f"activelog {spec}")) == count


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("activelog", "Expected 2 mandatory and up to 7 non-mandatory parameter(s)"),
        ("activelog no/such/place", "no such file or directory can be found"),
        ("activelog syslog reltime fortnights 2", "Invalid reltime: fortnights 2"),
        ("activelog syslog abstime 1:2 3:4", "Invalid abstime: 1:2"),
    ],
)
def test_wrong_get_is_refused(command, said):
    with pytest.raises(CommandRefused) as caught:
        names(command)
    assert caught.value.lines[0].startswith(said)


UNLIKE = (
    VirtualFile("logs/b", size=2, age=30),
    VirtualFile("logs/c", size=1, age=20),
    VirtualFile("logs/a", size=3, age=10),
    VirtualFile("logs/z/deep", size=0, age=0),
    VirtualFile("logs/y/deep", size=0, age=0),
)


@pytest.mark.parametrize(
    ("options", "order"), [("", "yzabc"), ("reverse date", "zyacb"), ("size", "yzcba")]
)
def test_listing_has_folders_first(options, order):
    given = parse_list(["activelog", "logs", *options.split()])
    assert "".join(entry.name for entry in listing(UNLIKE, given, NOW)) == order


@pytest.mark.parametrize(
    ("arguments", "name"),
    [("/logs/b*", "logs/b"), ("logs/ recent regexp SIP", "logs/a")],
)
def test_tail_selects_one_file(arguments: str, name: str) -> None:
    tail = parse_tail(["activelog", *arguments.split()])
    assert select_one(UNLIKE, tail, NOW).path == name
    assert tail.pattern == ("SIP" if "SIP" in arguments else "")


@pytest.mark.parametrize(
    "arguments", ["logs/x", "logs/", "logs/c 30", "logs/c regexp", "logs/c regexp ("]
)
def test_wrong_tail_is_refused(arguments: str) -> None:
    with pytest.raises(CommandRefused):
        select_one(UNLIKE, parse_tail(["activelog", *arguments.split()]), NOW)
