"""What is done on one node: from the first prompt to the verdict, in virtual time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.collect import Collect
from cucmd.job.node import Phase
from cucmd.node.ports import NodeTask, Retry
from rig.scripted_node import (
    COMPLETED,
    NO_SUCH_FILE,
    Answer,
    Node,
    RecordedReport,
    announce,
    appliance,
    by_path,
    collected,
    failed,
    matches_nothing,
    node_task,
    pushes,
    scripted,
)


async def test_every_path_is_one_file_get_into_one_target(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(10, 20))) as node:
        notes, report = await collected(node, node_task(tmp_path, "syslog", "core"))
        assert notes == ()
        assert [line for line in node.lines if line.startswith("file")] == [
            "file get activelog syslog",
            "file get activelog core",
        ]
        assert len(node.targets) == 1
        assert report.totals == (4, 60)
        assert report.all_announced == [False, True]
        assert report.phases == [
            Phase.LOGIN,
            Phase.PREPARE,
            *(Phase.COMMAND, Phase.TRANSFER) * 2,
            Phase.CLOSE,
        ]


async def test_files_count_when_the_node_has_called_their_command_completed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def says_nothing(node: Node, line: str) -> None:
        await announce(node, 1, 30)
        node.target.store("192.0.2.9/x/core.1", 30)

    answers = by_path(syslog=pushes(10, 20), core=says_nothing)
    async with scripted(appliance(answers)) as node:
        report = RecordedReport()
        with pytest.raises(NodeFailed) as caught:
            await collected(node, node_task(tmp_path, "syslog", "core"), report)
    assert caught.value.failure.code is Code.TRANSFER_INCOMPLETE
    assert len(node.target.files()) == 3
    assert report.counted == [file.path for file in node.target.files()[:2]]


async def test_the_session_and_the_target_are_closed_in_order(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        await collected(node, node_task(tmp_path))
        assert node.lines[-1] == "quit"
        assert (node.opened, node.closed, node.target.closed) == (1, 1, True)


async def test_what_the_node_says_of_its_connection_is_masked_with_both_passwords(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        task = node_task(tmp_path)
        await collected(node, task)
        for secret in (task.login.password, node.target.password):
            assert node.mask(f"no {secret} here") == "no ***** here"


async def test_the_node_is_told_where_the_receiver_is(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        await collected(node, node_task(tmp_path))
        assert node.lines[2:8] == [
            "y",
            "192.0.2.1",
            "2222",
            node.target.username,
            "OneTimeSecret",
            "/",
        ]
    async with scripted(appliance(pushes(1))) as node:
        await collected(node, node_task(tmp_path, advertise="203.0.113.7"))
        assert node.lines[3] == "203.0.113.7"


async def test_the_transcript_shows_both_sides_and_no_secret(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        await collected(node, node_task(tmp_path))
    transcript = (tmp_path / "transcript.log").read_text()
    assert "file get activelog cm/trace/ccm/sdl" in transcript
    assert COMPLETED in transcript
    assert "OneTimeSecret" not in transcript


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
    assert notes == (f"the node's clock is {said} ours; the window was widened by as much",)


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


async def has_no_such_folder(node: Node, line: str) -> None:
    await node.say(NO_SUCH_FILE, "Executed command unsuccessfully")


async def test_a_path_that_matches_nothing_is_a_note_beside_others(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    answers = by_path(core=matches_nothing, syslog=pushes(5))
    async with scripted(appliance(answers)) as node:
        notes, _ = await collected(node, node_task(tmp_path, "core", "syslog"))
    assert notes == ("core: no files matched",)


@pytest.mark.parametrize("nothing", [matches_nothing, has_no_such_folder])
async def test_an_unverified_path_that_matches_nothing_is_no_note(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, nothing: Answer
) -> None:
    answers = by_path(core=nothing, audit=nothing, syslog=pushes(5))
    work = Collect(("core", "audit", "syslog"), unverified=("core",))
    async with scripted(appliance(answers)) as node:
        notes, _ = await collected(node, node_task(tmp_path, work=work))
    assert [note.partition(":")[0] for note in notes] == ["audit"]


async def test_an_unverified_path_that_is_refused_in_other_words_is_a_note(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def knows_no_such_place(node: Node, line: str) -> None:
        await node.say("There is no place of this name")

    answers = by_path(core=knows_no_such_place, syslog=pushes(5))
    async with scripted(appliance(answers)) as node:
        work = Collect(("core", "syslog"), unverified=("core",))
        (note,), _ = await collected(node, node_task(tmp_path, work=work))
    assert "There is no place of this name" in note


async def test_unverified_paths_alone_fail_where_none_of_them_has_a_file(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    work = Collect(("core",), unverified=("core",))
    async with scripted(appliance(matches_nothing)) as node:
        why = await failed(node, node_task(tmp_path, work=work))
    assert why.code is Code.NO_FILES_MATCHED


async def test_no_path_that_matches_is_a_failure(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(matches_nothing)) as node:
        why = await failed(node, node_task(tmp_path, "core", "syslog"))
    assert why.code is Code.NO_FILES_MATCHED
    assert why.message == "core: no files matched; syslog: no files matched"


async def test_what_is_said_of_many_paths_is_bounded(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    paths = [f"p{number}" for number in range(60)]
    async with scripted(appliance(matches_nothing)) as node:
        why = await failed(node, node_task(tmp_path, *paths))
    assert why.message.endswith("p4: no files matched; and 55 more paths")
    answers = by_path(**dict.fromkeys(paths, matches_nothing), syslog=pushes(5))
    async with scripted(appliance(answers)) as node:
        notes, _ = await collected(node, node_task(tmp_path, *paths, "syslog"))
    assert len(notes) == 51
    assert notes[-1] == "and 10 more notes; the transcript has all that the node said"


async def test_a_path_that_is_not_there_does_not_stop_the_next(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def absent(node: Node, line: str) -> None:
        await node.say(NO_SUCH_FILE, "Executed command unsuccessfully")

    answers = by_path(nowhere=absent, syslog=pushes(5))
    async with scripted(appliance(answers)) as node:
        notes, _ = await collected(node, node_task(tmp_path, "nowhere", "syslog"))
    assert len(notes) == 1
    assert notes[0].startswith("nowhere: ")
    async with scripted(appliance(absent)) as node:
        assert (await failed(node, node_task(tmp_path, "nowhere"))).code is Code.INVALID_PATH


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


REFUSED = failure(Code.CONNECTION_REFUSED, "cucm-pub:22 refused the connection")


async def test_transient_failures_are_tried_again_with_growing_pauses(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        node.refusals = [REFUSED, REFUSED]
        started = trio.current_time()
        task = node_task(tmp_path, retry=Retry(attempts=3, base=10, cap=100))
        _, report = await collected(node, task)
        assert report.attempts == [1, 2, 3]
        # 10 s and 20 s, each within 50 % to 150 %.
        assert 15 <= trio.current_time() - started <= 50


async def test_the_last_attempt_decides(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        node.refusals = [REFUSED] * 3
        assert await failed(node, node_task(tmp_path)) == REFUSED
        assert node.opened == 0


async def test_a_refused_login_is_never_tried_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        node.refusals = [failure(Code.AUTH_FAILED, "the node refused the password")]
        assert (await failed(node, node_task(tmp_path))).code is Code.AUTH_FAILED
        assert node.opened == 0


async def test_the_hint_of_a_host_key_names_the_node(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        node.refusals = [failure(Code.HOST_KEY_UNKNOWN, "no host key is known")]
        hint = (await failed(node, node_task(tmp_path))).hint
        assert hint is not None
        assert hint.endswith(" cucm-pub")


Arrange = Callable[[Path], None]


async def test_a_transcript_that_cannot_be_written_disturbs_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "transcript.log").mkdir()
    async with scripted(appliance(pushes(1))) as node:
        assert (await collected(node, node_task(tmp_path)))[0] == ()
    assert [(one.name, one.levelname) for one in caplog.records] == [
        ("cucmd.node.transcript_file", "WARNING")
    ]
