"""The texts of the other commands, and the counters."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import trio

from cucmd.lab import answers
from cucmd.lab.answers import Member
from cucmd.lab.counters import AllCounters, Counters
from cucmd.lab.selection import Entry

NOW = datetime(2026, 8, 3, 22, 30, tzinfo=UTC)
MEMBERS = [Member(1, "127.1.0.1"), Member(2, "127.1.0.2")]


def test_only_the_local_node_has_no_since():
    first, second, *_ = answers.network_cluster(MEMBERS, MEMBERS[0])
    assert first.endswith("Publisher callmanager DBPub authenticated")
    assert " using TCP since " in second


def test_the_table_of_servers_is_the_publishers():
    assert answers.network_cluster(MEMBERS, MEMBERS[0])[2:] == [
        "",
        "Server Table (processnode) Entries",
        "----------------------------------",
        "127.1.0.1",
        "127.1.0.2",
    ]
    assert answers.network_cluster(MEMBERS, MEMBERS[1])[2:] == [""]


def test_status_tells_the_nodes_own_time_and_zone():
    lines = answers.status(MEMBERS[1], NOW, ZoneInfo("Europe/Berlin"), 92.0)
    assert "Host Name          : cucm-sub1" in lines
    assert "Date               : Tue Aug 04, 2026 00:30:00" in lines
    assert "Time Zone          : CEST (GMT+02:00) (Europe/Berlin)" in lines


def test_columns_of_a_detailed_listing():
    entries = [Entry("sdl", None, NOW), Entry("x.txt", 1_234_567, NOW)]
    folder, file, footer = answers.file_list(entries, UTC, detail=True)
    assert folder == "03 Aug,2026 22:30:00        <dir>  sdl"
    assert file == "03 Aug,2026 22:30:00    1,234,567  x.txt"
    assert file.index("x.txt") == 35
    assert footer == "dir count = 1, file count = 1"


def test_columns_of_a_plain_listing():
    entries = [Entry(name, 1, NOW) for name in ("a", "b", "c")]
    assert answers.file_list(entries, UTC, detail=False)[:-1] == ["a" + " " * 39 + "b", "c"]


def test_sums_add_up_but_the_most_at_once_does_not():
    counters = AllCounters(2)
    counters.count(0, "sessions_now", 2)
    counters.count(1, "sessions_now", 3)
    counters.count(1, "sessions_now", -3)
    total = counters.total()
    assert (total.sessions_now, total.sessions_most) == (2, 3)


async def test_waiting_for_a_number(autojump_clock):
    counters = AllCounters(1)
    seen: list[Counters] = []

    async def wait() -> None:
        seen.append(await counters.until(lambda total: total.logins == 2))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for _ in range(3):
            await trio.sleep(1)
            counters.count(0, "logins")
    assert seen[0].logins == 2
