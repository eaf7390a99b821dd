"""Which files a `file get` or a `file list` means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.lab.selection import FileList, Refused, listing, parse_get, parse_list, select
from cucmd.lab.tree import Shape, VirtualFile, files_of

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
FILES = files_of("activelog", 1, Shape(files=8, every=600))

WORDS = [
    "reltime",
    "months",
    "9999999",
    "\N{SUPERSCRIPT TWO}",
    "abstime",
    "00:00:01/01/00",
    "match",
]


def names(command: str, zone=UTC) -> list[str]:
    return [file.path for file in select(FILES, parse_get(command.split(), NOW, zone), NOW)]


def test_a_folder_means_its_own_files():
    found = names("activelog cm/trace/ccm/sdl")
    assert len(found) == 8
    assert all(path.startswith("cm/trace/ccm/sdl/SDL001_100_") for path in found)


def test_sub_folders_only_with_recurs():
    assert names("activelog cm/trace/ccm") == []
    assert len(names("activelog cm/trace/ccm recurs")) == 8 + 3 + 3


@pytest.mark.parametrize("spec", ["/syslog/messages*", "syslog/mess*"])
def test_a_star_and_a_leading_slash(spec):
    assert len(names(f"activelog {spec}")) == 4


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
        ("elsewhere syslog", "Invalid location: elsewhere"),
        ("activelog no/such/place", "no such file or directory can be found"),
        ("activelog syslog reltime 2", "Expected 2 mandatory"),
        ("activelog syslog reltime fortnights 2", "Invalid reltime: fortnights 2"),
        ("activelog syslog abstime 1:2 3:4", "Invalid abstime: 1:2"),
        ("activelog syslog match [", "Invalid regular expression: ["),
        ("activelog syslog gently", "Expected 2 mandatory"),
    ],
)
def test_what_the_node_refuses(command, said):
    with pytest.raises(Refused) as caught:
        names(command)
    assert caught.value.lines[0].startswith(said)


@given(st.lists(st.text(max_size=12) | st.sampled_from(WORDS), max_size=8))
def test_any_words_are_files_or_a_refusal(words):
    try:
        get = parse_get(["activelog", "syslog/secure", *words], NOW, UTC)
    except Refused:
        return
    assert set(select(FILES, get, NOW)) <= set(FILES)


def listed(arguments: str, files=FILES) -> list[str]:
    given = parse_list(["activelog", *arguments.split()])
    return [entry.name for entry in listing(files, given, NOW)]


def test_a_listing_shows_folders_first():
    entries = listing(FILES, FileList("activelog", "cm/trace"), NOW)
    assert [entry.name for entry in entries][:3] == ["ccm", "cdrrep", "cti"]
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
        ("reverse", "zycba"),
        ("date", "yzbca"),
        ("reverse date", "zyacb"),
        ("size", "yzcba"),
        ("size detail page reverse", "zyabc"),
    ],
)
def test_the_order_of_a_listing(options, order):
    assert "".join(listed(f"logs {options}", UNLIKE)) == order


@pytest.mark.parametrize("options", ["", "page", "detail page", "date reverse page detail"])
def test_a_listing_pages_only_when_asked(options):
    given = parse_list(["activelog", "syslog", *options.split()])
    assert (given.page, given.detail) == ("page" in options, "detail" in options)


def test_an_option_that_a_listing_does_not_have():
    with pytest.raises(Refused) as caught:
        listed("syslog sideways")
    assert caught.value.lines[0].startswith("Expected 2 mandatory and up to 4 non-mandatory")
