"""A collection from one node: from the first prompt to the notes."""

import pytest

from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.node import Phase
from cucmd.node.ports import Retry
from rig.scripted_node import (
    COMPLETED,
    NO_SUCH_FILE,
    announce,
    appliance,
    by_path,
    matches_nothing,
    pushes,
)

TWO = Collect(("syslog", "core"))


def test_each_path_is_one_file_get(play):
    done = play(appliance(pushes(10, 20)), TWO)
    assert (done.failure, done.notes) == (None, ())
    assert done.typed("file") == ["file get activelog syslog", "file get activelog core"]
    assert len(done.node.targets) == 1
    assert done.report.totals == (4, 60)
    assert done.report.all_announced == [False, True]
    assert done.report.phases == [
        Phase.LOGIN,
        Phase.PREPARE,
        *(Phase.COMMAND, Phase.TRANSFER) * 2,
        Phase.CLOSE,
    ]
    assert (done.node.lines[-1], done.node.opened) == ("quit", 1)


def test_files_count_once_completed_is_said(play):
    async def says_nothing(node, line):
        await announce(node, 1, 30)
        node.target.store("192.0.2.9/x/core.1", 30)

    done = play(appliance(by_path(syslog=pushes(10, 20), core=says_nothing)), TWO)
    files = done.node.target.files()
    assert (done.code, len(files)) == (Code.TRANSFER_INCOMPLETE, 3)
    assert done.report.counted == [file.path for file in files[:2]]


@pytest.mark.parametrize("failed", [("syslog",), ("syslog", "core")])
def test_missing_files_stop_no_other_path(play, failed):
    answers = {path: pushes(5, announced=6 if path in failed else 5) for path in TWO.paths}
    done = play(appliance(by_path(**answers)), TWO)
    assert (done.code, len(done.typed("file"))) == (Code.TRANSFER_INCOMPLETE, 2)
    assert [text.partition(":")[0] for text in done.failure.message.split("; ")] == list(failed)
    assert len(done.counted) == 2 - len(failed)


def test_secrets_are_masked(play):
    done = play(appliance(pushes(1)))
    for secret in (done.task.login.password, done.node.target.password):
        assert done.node.mask(f"no {secret} here") == "no ***** here"
    transcript = (done.task.folder / "transcript.log").read_text()
    assert "file get activelog cm/trace/ccm/sdl" in transcript
    assert COMPLETED in transcript
    assert "OneTimeSecret" not in transcript


@pytest.mark.parametrize(("advertise", "host"), [("", "192.0.2.1"), ("203.0.113.7", "203.0.113.7")])
def test_the_node_is_told_the_receiver(play, advertise, host):
    done = play(appliance(pushes(1)), advertise=advertise)
    username = done.node.target.username
    assert done.node.lines[2:8] == ["y", host, "2222", username, "OneTimeSecret", "/"]


async def has_no_such_folder(node, line):
    await node.say(NO_SUCH_FILE, "Executed command unsuccessfully")


async def knows_no_such_place(node, line):
    await node.say("There is no place of this name")


@pytest.mark.parametrize(
    ("core", "unverified", "note"),
    [
        (matches_nothing, (), "core: no files matched"),
        (pushes(), (), "core: no files matched"),
        (has_no_such_folder, (), "core: "),
        (matches_nothing, ("core",), None),
        (has_no_such_folder, ("core",), None),
        (knows_no_such_place, ("core",), "There is no place of this name"),
    ],
)
def test_a_path_without_files(play, core, unverified, note):
    request = Collect(("core", "syslog"), unverified=unverified)
    done = play(appliance(by_path(core=core, syslog=pushes(5))), request)
    assert (done.failure, len(done.notes)) == (None, 0 if note is None else 1)
    assert note is None or note in done.notes[0]
    assert done.counted == ["0-0.txt"]


@pytest.mark.parametrize(
    ("answer", "unverified", "code"),
    [
        (matches_nothing, (), Code.NO_FILES_MATCHED),
        (matches_nothing, ("core",), Code.NO_FILES_MATCHED),
        (has_no_such_folder, (), Code.INVALID_PATH),
    ],
)
def test_no_path_with_files_fails(play, answer, unverified, code):
    done = play(appliance(answer), Collect(("core", "syslog"), unverified=unverified))
    assert done.code == code
    said = done.failure.message.split("; ")
    assert [one.partition(": ")[0] for one in said] == ["core", "syslog"]


def test_what_is_said_of_paths_is_limited(play):
    paths = [f"p{number}" for number in range(60)]
    *said, more = play(appliance(matches_nothing), Collect(paths)).failure.message.split("; ")
    assert [one.partition(": ")[0] for one in said] == paths[:5]
    assert "55 more" in more
    file_get = by_path(**dict.fromkeys(paths, matches_nothing), syslog=pushes(5))
    done = play(appliance(file_get), Collect((*paths, "syslog")))
    assert len(done.notes) == 51
    assert "10 more" in done.notes[-1]


REFUSED = failure(Code.CONNECTION_REFUSED, "cucm-pub:22 refused the connection")


def refusals(*failures):
    return lambda node: node.refusals.extend(failures)


def test_retries_wait_longer_each_time(play):
    retry = Retry(attempts=3, base=10, cap=100)
    done = play(appliance(pushes(1)), arrange=refusals(REFUSED, REFUSED), retry=retry)
    assert (done.failure, done.report.attempts) == (None, [1, 2, 3])
    # 10 s and 20 s, each within 50 % to 150 %.
    assert 15 <= done.seconds <= 50


@pytest.mark.parametrize(
    ("failures", "hint"),
    [
        ([REFUSED] * 3, ""),
        ([failure(Code.AUTH_FAILED, "the node refused the password")], ""),  # is not tried again
        ([failure(Code.HOST_KEY_UNKNOWN, "no host key is known")], " cucm-pub"),
    ],
)
def test_the_last_attempt_decides(play, failures, hint):
    done = play(appliance(pushes(1)), arrange=refusals(*failures))
    assert (done.code, done.node.opened) == (failures[-1].code, 0)
    assert done.failure.hint.endswith(hint)
