"""The window of a collection in the node's own time, whose clock may be wrong."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import trio

from cucmd import vos
from cucmd.job.collect import Collect
from rig.scripted_node import appliance, pushes

BERLIN = ZoneInfo("Europe/Berlin")
SINCE, UNTIL = (datetime(2026, 7, 1, hour, tzinfo=UTC) for hour in (6, 8))
WINDOW = Collect(("syslog",), since=SINCE, until=UNTIL)


def last_two_hours(paths=("syslog",), *, asked_at, written_for=()):
    """Returns a request for the two hours before `asked_at`."""
    since = asked_at - timedelta(hours=2)
    return Collect(paths, last="2h", since=since, until=asked_at, written_for=written_for)


@pytest.mark.parametrize(
    ("ahead", "window", "note"),
    [
        (timedelta(), "08:00:07/01/26 11:00:07/01/26", None),
        (timedelta(seconds=90), "08:00:07/01/26 11:02:07/01/26", None),
        (timedelta(minutes=62), "08:00:07/01/26 12:02:07/01/26", "62 minutes ahead of"),
        (timedelta(hours=-3), "05:00:07/01/26 11:00:07/01/26", "180 minutes behind"),
        (timedelta(days=9), "08:00:07/01/26 11:00:07/10/26", "9 days ahead of"),
    ],
)
def test_a_wrong_clock_widens_the_window(play, ahead, window, note):
    # In the middle of the last minute, so that no second that passes matters.
    within = timedelta(seconds=30) * ((ahead > timedelta(minutes=2)) - (ahead < timedelta()))
    shown = datetime.now(BERLIN) + ahead - within
    date = f"{shown:%a %b %d, %Y %H:%M:%S}" if ahead else ""
    done = play(appliance(pushes(1), date=date), WINDOW)
    assert done.typed("file") == [f"file get activelog syslog abstime {window}"]
    seconds = round(ahead / timedelta(minutes=1)) * 60.0 if note else 0.0
    assert done.report.clocks == [("Europe/Berlin", seconds)]
    assert len(done.notes) == (note is not None)
    assert note is None or note in done.notes[0]


def test_a_last_asks_for_the_zone_at_the_end(play):
    now = datetime.now(UTC)
    done = play(appliance(pushes(1)), last_two_hours(asked_at=now), asked_at=now)
    typed = [line for line in done.node.lines if line.startswith(("file", "show"))]
    assert typed == ["file get activelog syslog reltime hours 2", "show status"]
    assert (done.report.clocks, done.notes) == ([("Europe/Berlin", 0.0)], ())


def test_a_last_notes_a_wrong_clock(play):
    """The node counts back by its own clock, so the window stays, but the coverage is unclear."""
    now = datetime.now(UTC)
    date = f"{datetime.now(BERLIN) + timedelta(minutes=62):%a %b %d, %Y %H:%M:%S}"
    done = play(appliance(pushes(1), date=date), last_two_hours(asked_at=now), asked_at=now)
    assert done.typed("file") == ["file get activelog syslog reltime hours 2"]
    assert done.notes == ("the node's clock is 62 minutes ahead of ours",)


def test_a_late_retry_gets_what_was_written_later(play):
    until = datetime.now(UTC) - timedelta(days=1)
    request = last_two_hours(("syslog", "sdl"), asked_at=until, written_for=("always", "1h"))
    done = play(appliance(pushes(1)), request, asked_at=until)
    gets = [line.split() for line in done.typed("file get")]
    ends = {words[3]: datetime.strptime(words[6], "%H:%M:%m/%d/%y") for words in gets}
    late = {path: end.replace(tzinfo=BERLIN) - until for path, end in ends.items()}
    assert late["syslog"] > timedelta(days=1)
    assert timedelta(hours=1) <= late["sdl"] < timedelta(hours=3)


async def hangs(node, line):
    await trio.sleep_forever()


async def closes(node, line):
    raise trio.BrokenResourceError


async def refuses(node, line):
    await node.say("No valid command entered")


@pytest.mark.parametrize("status", [hangs, closes, refuses])
def test_no_time_at_the_end_fails_nothing(play, status):
    now = datetime.now(UTC)
    script = appliance(pushes(10), status=status)
    done = play(script, last_two_hours(asked_at=now), asked_at=now)
    assert (done.failure, len(done.counted)) == (None, 1)
    assert done.seconds < 30
    assert [zone for zone, _ in done.report.clocks] in ([], [None])


@pytest.mark.parametrize(("left", "asked"), [(10.0, True), (0.9, False)])
def test_the_zone_is_asked_within_the_deadline(play, left, asked):
    now = datetime.now(UTC)

    async def late(node, line):
        node.scope.deadline = trio.current_time() + left
        await pushes(10)(node, line)

    script = appliance(late, status=hangs)
    done = play(script, last_two_hours(asked_at=now), asked_at=now)
    assert (done.cancelled, len(done.counted)) == (False, 1)
    assert (vos.SHOW_STATUS in done.node.lines) == asked


def test_the_last_hours_end_at_the_request(play):
    asked_at = datetime.now(UTC) - timedelta(hours=5, seconds=-30)
    done = play(appliance(pushes(5)), Collect(("x",), last="2h"), asked_at=asked_at)
    (command,) = done.typed("file get")
    assert "reltime minutes 420" in command


def test_each_path_counts_back_from_its_own_time(play, monkeypatch):
    now = datetime.now(UTC)

    class VirtualTime(datetime):
        @classmethod
        def now(cls, tz=None):
            return now + timedelta(seconds=trio.current_time())

    monkeypatch.setattr("cucmd.work.collect.datetime", VirtualTime)

    async def takes_ten_minutes(node, line):
        for _ in range(10):
            await trio.sleep(60)
            node.target.receive(1)
        await pushes(10)(node, line)

    asked_at = now - timedelta(minutes=55)
    request = last_two_hours(("sdl", "syslog"), asked_at=asked_at)
    done = play(appliance(takes_ten_minutes), request, asked_at=asked_at)
    assert done.typed("file get") == [
        "file get activelog sdl reltime minutes 176",
        "file get activelog syslog reltime minutes 186",
    ]
