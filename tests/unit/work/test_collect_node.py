"""What is done on one node: from the first prompt to the verdict, in virtual time."""

from pathlib import Path

import pytest
import trio

from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.collect import Collect
from cucmd.job.node import Phase
from cucmd.node.ports import Retry
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
    assert caught.value.failure.code == Code.TRANSFER_INCOMPLETE
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
    assert why.code == Code.NO_FILES_MATCHED


async def test_no_path_that_matches_is_a_failure(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(matches_nothing)) as node:
        why = await failed(node, node_task(tmp_path, "core", "syslog"))
    assert why.code == Code.NO_FILES_MATCHED
    assert [said.partition(": ")[0] for said in why.message.split("; ")] == ["core", "syslog"]


async def test_what_is_said_of_many_paths_is_bounded(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    paths = [f"p{number}" for number in range(60)]
    async with scripted(appliance(matches_nothing)) as node:
        why = await failed(node, node_task(tmp_path, *paths))
    *said, more = why.message.split("; ")
    assert [one.partition(": ")[0] for one in said] == paths[:5]
    assert "55 more" in more
    answers = by_path(**dict.fromkeys(paths, matches_nothing), syslog=pushes(5))
    async with scripted(appliance(answers)) as node:
        notes, _ = await collected(node, node_task(tmp_path, *paths, "syslog"))
    assert len(notes) == 51
    assert "10 more" in notes[-1]


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
        assert (await failed(node, node_task(tmp_path, "nowhere"))).code == Code.INVALID_PATH


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
        assert (await failed(node, node_task(tmp_path))).code == Code.AUTH_FAILED
        assert node.opened == 0


async def test_the_hint_of_a_host_key_names_the_node(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(1))) as node:
        node.refusals = [failure(Code.HOST_KEY_UNKNOWN, "no host key is known")]
        hint = (await failed(node, node_task(tmp_path))).hint
        assert hint is not None
        assert hint.endswith(" cucm-pub")


async def test_a_transcript_that_cannot_be_written_disturbs_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "transcript.log").mkdir()
    async with scripted(appliance(pushes(1))) as node:
        assert (await collected(node, node_task(tmp_path)))[0] == ()
    assert [(one.name, one.levelname) for one in caplog.records] == [
        ("cucmd.node.transcript_file", "WARNING")
    ]
