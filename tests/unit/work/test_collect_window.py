"""The window of a collection in the own time of a node, whose clock may be off."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trio

from cucmd import vos
from cucmd.job.collect import Collect
from cucmd.node.ports import NodeTask
from rig.scripted_node import (
    Answer,
    Node,
    appliance,
    collected,
    node_task,
    pushes,
    scripted,
)


async def test_an_absolute_window_is_in_the_nodes_own_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    since, until = (datetime(2026, 7, 1, hour, tzinfo=UTC) for hour in (6, 8))
    window = Collect(("syslog",), since=since, until=until)
    async with scripted(appliance(pushes(1))) as node:
        _, report = await collected(node, node_task(tmp_path, work=window))
        assert "file get activelog syslog abstime 08:00:07/01/26 11:00:07/01/26" in node.lines
    assert report.clocks == [("Europe/Berlin", 0.0)]


@pytest.mark.parametrize(
    ("off", "window", "said"),
    [
        (timedelta(minutes=62), "08:00:07/01/26 12:02:07/01/26", "62 minutes ahead of"),
        (timedelta(hours=-3), "05:00:07/01/26 11:00:07/01/26", "180 minutes behind"),
        (timedelta(days=9), "08:00:07/01/26 11:00:07/10/26", "9 days ahead of"),
    ],
)
async def test_a_clock_that_is_off_widens_the_window_and_is_a_note(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    off: timedelta,
    window: str,
    said: str,
) -> None:
    since, until = (datetime(2026, 7, 1, hour, tzinfo=UTC) for hour in (6, 8))
    task = node_task(tmp_path, work=Collect(("syslog",), since=since, until=until))
    # In the middle of the last minute, so that no second that passes matters.
    within = off - timedelta(seconds=30) * (1 if off > timedelta() else -1)
    shown = datetime.now(ZoneInfo("Europe/Berlin")) + within
    async with scripted(appliance(pushes(1), date=f"{shown:%a %b %d, %Y %H:%M:%S}")) as node:
        notes, report = await collected(node, task)
        assert f"file get activelog syslog abstime {window}" in node.lines
    assert report.clocks == [("Europe/Berlin", round(off / timedelta(minutes=1)) * 60.0)]
    (note,) = notes
    assert said in note


async def test_with_a_last_the_zone_is_asked_for_when_all_is_collected(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        notes, report = await collected(node, last_two_hours(tmp_path))
        assert [line for line in node.lines if line.startswith(("file", "show"))] == [
            "file get activelog syslog reltime hours 2",
            "show status",
        ]
    assert report.clocks == [("Europe/Berlin", 0.0)]
    assert notes == ()


async def test_a_last_that_is_tried_again_a_day_later_gets_what_was_written_at_its_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    now = datetime.now(UTC)
    until = now - timedelta(days=1)
    hours = {"since": until - timedelta(hours=2), "until": until}
    work = Collect(("syslog", "sdl"), last="2h", written_for=("always", "1h"), **hours)
    async with scripted(appliance(pushes(1))) as node:
        await collected(node, node_task(tmp_path, work=work, asked_at=until))
        gets = [line.split() for line in node.lines if line.startswith("file get")]
    ends = {words[3]: datetime.strptime(words[6], "%H:%M:%m/%d/%y") for words in gets}
    berlin = ZoneInfo("Europe/Berlin")
    late = {path: end.replace(tzinfo=berlin) - until for path, end in ends.items()}
    assert late["syslog"] > timedelta(days=1)
    assert timedelta(hours=1) <= late["sdl"] < timedelta(hours=3)


async def hangs(node: Node, line: str) -> None:
    await trio.sleep_forever()


async def closes(node: Node, line: str) -> None:
    raise trio.BrokenResourceError


async def refuses(node: Node, line: str) -> None:
    await node.say("No valid command entered")


@pytest.mark.parametrize("status", [hangs, closes, refuses])
async def test_a_node_that_does_not_say_its_time_then_has_succeeded(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, status: Answer
) -> None:
    async with scripted(appliance(pushes(10), status=status)) as node:
        began = trio.current_time()
        _, report = await collected(node, last_two_hours(tmp_path))
        assert trio.current_time() - began < 30
    assert report.counted == [file.path for file in node.target.files()]
    assert [zone for zone, _ in report.clocks] in ([], [None])


@pytest.mark.parametrize(("left", "asked"), [(10.0, True), (0.9, False)])
async def test_what_is_complete_does_not_fail_for_the_deadline_while_the_time_is_asked_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, left: float, asked: bool
) -> None:
    async def late(node: Node, line: str) -> None:
        node_deadline.deadline = trio.current_time() + left
        await pushes(10)(node, line)

    async with scripted(appliance(late, status=hangs)) as node:
        with trio.CancelScope() as node_deadline:
            _, report = await collected(node, last_two_hours(tmp_path))
        assert not node_deadline.cancelled_caught
        assert report.counted == [file.path for file in node.target.files()]
        assert (vos.SHOW_STATUS in node.lines) == asked


def last_two_hours(folder: Path) -> NodeTask:
    now = datetime.now(UTC)
    work = Collect(("syslog",), last="2h", since=now - timedelta(hours=2), until=now)
    return node_task(folder, work=work, asked_at=now)


async def test_a_clock_that_is_off_by_little_widens_the_window_without_a_word(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    since, until = (datetime(2026, 7, 1, hour, tzinfo=UTC) for hour in (6, 8))
    task = node_task(tmp_path, work=Collect(("syslog",), since=since, until=until))
    shown = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(seconds=90)
    async with scripted(appliance(pushes(1), date=f"{shown:%a %b %d, %Y %H:%M:%S}")) as node:
        notes, report = await collected(node, task)
        assert "file get activelog syslog abstime 08:00:07/01/26 11:02:07/01/26" in node.lines
    assert notes == ()
    assert report.clocks == [("Europe/Berlin", 0.0)]


async def test_the_last_hours_are_those_before_the_job_was_asked_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    asked_at = datetime.now(UTC) - timedelta(hours=5, seconds=-30)
    task = node_task(tmp_path, work=Collect(("x",), last="2h"), asked_at=asked_at)
    async with scripted(appliance(pushes(5))) as node:
        await collected(node, task)
    (command,) = [line for line in node.lines if line.startswith("file get")]
    assert "reltime minutes 420" in command


async def test_the_last_hours_of_every_path_are_counted_back_if_those_of_the_first_are(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, begin = datetime.now(UTC), trio.current_time()

    class VirtualTime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return now + timedelta(seconds=trio.current_time() - begin)

    monkeypatch.setattr("cucmd.work.collect.datetime", VirtualTime)

    async def takes_ten_minutes(node: Node, line: str) -> None:
        for _ in range(10):
            await trio.sleep(60)
            node.target.receive(1)
        await pushes(10)(node, line)

    asked_at = now - timedelta(minutes=55)
    hours = {"since": asked_at - timedelta(hours=2), "until": asked_at}
    work = Collect(("sdl", "syslog"), last="2h", **hours)
    async with scripted(appliance(takes_ten_minutes)) as node:
        await collected(node, node_task(tmp_path, work=work, asked_at=asked_at))
        assert [line for line in node.lines if line.startswith("file get")] == [
            "file get activelog sdl reltime minutes 176",
            "file get activelog syslog reltime minutes 186",
        ]
