"""Following a file on one node: what is kept as it comes, and how it ends."""

import hashlib

import pytest
import trio
from msgspec.structs import replace

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.job.follow import Follow
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.vos import LONGEST_TAIL
from cucmd.work import follow as work_follow
from cucmd.work.follow import ENDED_WITHIN
from rig.scripted_node import GREETING, answers
from unit.work.capture_node import until_ctrl_c
from unit.work.conftest import stop_after

WORK = Follow("syslog/messages", duration=600.0)
LINE = "file tail activelog syslog/messages"
OUTPUT = "001-file-tail-activelog-syslog-messages.txt"
THIRD = OUTPUT.replace(".txt", ".attempt-3.txt")
LINES = [f"line {number}" for number in range(1, 8)]  # more than a refusal has


def node_that(act, line=LINE):
    async def answer(node, line):
        await act(node)

    return answers({line: answer})


async def grows(node):
    """Prints a line a minute, until Ctrl-C."""
    await node.say(*LINES)
    await prints_until_ctrl_c(node, 60, lambda minute: [f"minute {minute}"])


async def without_end(node):
    """Prints faster than a session reads, as far as its window lets it."""
    await prints_until_ctrl_c(node, 0.05, lambda _: ["x" * 79] * 100)


async def prints_until_ctrl_c(node, seconds, lines):
    async with trio.open_nursery() as nursery:

        async def write():
            for number in range(1, 10_000):
                await trio.sleep(seconds)
                await node.say(*lines(number))

        nursery.start_soon(write)
        await until_ctrl_c(node)
        nursery.cancel_scope.cancel()


def says(*lines):
    async def act(node):
        if lines:  # nothing at all would be the end of the connection
            await node.say(*lines)

    return act


@pytest.fixture
def follow(play):
    """Returns a function that follows on a node which does this, and checks what is on record."""

    def follow(act, request=WORK, *, script=None, **options):
        done = play(script or node_that(act, request.line), request, **options)
        for file in done.report.written:
            content = (done.task.folder.parent / file.path).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            assert (file.size, file.sha256) == (len(content), digest)
        return done

    return follow


def kept(done):
    return done.output(OUTPUT).splitlines()


def test_duration_ends_a_file_that_rests(follow):
    async def rests(node):
        await node.say("the last line")
        await until_ctrl_c(node)

    done = follow(rests)
    (note,) = done.notes
    assert done.node.lines == [vos.PAGER_OFF, LINE, "^C", "quit"]
    assert 600 <= done.seconds < 610
    assert "600 s" in note
    assert (kept(done), done.kept) == (["the last line"], [(OUTPUT, True)])
    assert done.report.phases[-3:] == [Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]


def test_lines_are_on_disk_as_they_come(follow, folder):
    seen = []

    async def look(task):
        for _ in range(3):
            await trio.sleep(61)
            seen.append((folder / "output" / OUTPUT).read_text().splitlines()[-1])
        task.joint_run.stop()

    done = follow(grows, meanwhile=look)
    assert seen == ["minute 1", "minute 2", "minute 3"]
    assert kept(done) == [*LINES, *seen]


def test_a_stop_ends_it_without_a_note(follow):
    done = follow(grows, meanwhile=stop_after(125))
    assert 125 <= done.seconds < 130
    assert (done.notes, done.node.lines[-2:]) == ((), ["^C", "quit"])
    assert done.kept == [(OUTPUT, True)]


def test_the_typed_line(follow):
    request = Follow("cm/trace/ccm/sdl/", recent=True, regexp="SIP.*INVITE")
    done = follow(grows, request)
    assert "file tail activelog cm/trace/ccm/sdl/ recent regexp SIP.*INVITE" in done.node.lines
    assert done.kept[0][0].startswith("001-file-tail-activelog-cm-trace")


def test_a_log_may_look_like_a_dialogue(follow):
    lines = ("Continue (y/n)?", "admin:", "x admin:", "No valid command entered", "Password:")

    async def act(node):
        for line in lines:
            await node.say(line)
            await trio.sleep(30)
        await node.say("Overwrite (y/n)? ", end="")
        await trio.sleep(30)
        await node.say("login: admin:", end="")
        await until_ctrl_c(node)

    done = follow(act)
    assert done.node.lines == [vos.PAGER_OFF, LINE, "^C", "quit"]
    assert kept(done) == [*lines, "Overwrite (y/n)? login: admin:"]


def test_secrets_and_escapes_are_removed(follow):
    done = follow(says(*LINES, "it is PlatformSecret", "\x1b[2J\x1b]0;owned\x07red\x07"))
    assert kept(done) == [*LINES, "it is *****", "red"]


def test_the_node_may_end_it(follow):
    done = follow(says(*LINES))
    (note,) = done.notes
    assert "ended the command by itself" in note
    assert "^C" not in done.node.lines
    assert (kept(done), done.kept) == (LINES, [(OUTPUT, True)])


UNSUCCESSFUL = "Executed command unsuccessfully"


@pytest.mark.parametrize(
    ("lines", "quoted", "code"),
    [
        ([UNSUCCESSFUL], UNSUCCESSFUL, Code.COMMAND_REFUSED),
        (["No valid command entered"], "No valid command entered", Code.COMMAND_REFUSED),
        (["This needs privilege level 1"], "This needs privilege level 1", Code.COMMAND_REFUSED),
        ([], "", Code.COMMAND_REFUSED),
        (
            ["no such file or directory can be found", UNSUCCESSFUL],
            f"no such file or directory can be found / {UNSUCCESSFUL}",
            Code.INVALID_PATH,
        ),
        ([*LINES, UNSUCCESSFUL, ""], UNSUCCESSFUL, Code.COMMAND_REFUSED),
    ],
)
def test_a_refusal_is_quoted(follow, lines, quoted, code):
    done = follow(says(*lines))
    assert (done.code, done.kept) == (code, [(OUTPUT, False)])
    assert quoted in done.failure.message
    assert ("level 1" in done.failure.hint) == (code == Code.COMMAND_REFUSED)
    assert kept(done) == lines


def test_a_refusal_just_before_a_stop(follow):
    async def act(node):
        await trio.sleep(10)
        await node.say("This needs privilege level 1")

    done = follow(act, meanwhile=stop_after(11.5))
    assert (done.code, "^C" in done.node.lines) == (Code.COMMAND_REFUSED, False)


def test_a_line_like_the_prompt_delays_a_stop(follow):
    async def act(node):
        await node.say(*LINES)
        await node.say("admin:", end="")
        await trio.sleep(1)
        await node.say(" has come")
        await until_ctrl_c(node)

    done = follow(act, replace(WORK, duration=0.5))
    assert (len(done.notes), done.node.lines[-2:]) == (1, ["^C", "quit"])
    assert kept(done) == [*LINES, "admin: has come"]


async def prints_every_second(node):
    await node.say(*LINES)
    for number in range(1000):
        await trio.sleep(1)
        await node.say(f"second {number}")


async def closes_at_ctrl_c(node):
    await node.say(*LINES)
    await until_ctrl_c(node)
    await node.say("late")
    node.hang_up()
    await trio.sleep_forever()


def test_a_node_that_ignores_ctrl_c(follow):
    done = follow(prints_every_second, meanwhile=stop_after(60))
    (note,) = done.notes
    assert "Ctrl-C" in note
    assert ENDED_WITHIN + 60 <= done.seconds < ENDED_WITHIN + 75
    assert done.kept == [(OUTPUT, True)]
    late = kept(done)[len(LINES) :]
    assert late == [f"second {number}" for number in range(len(late))]
    assert len(late) >= 60 + ENDED_WITHIN - 5, "what comes until the end is kept"


def test_a_node_that_hangs_up_at_ctrl_c(follow):
    done = follow(closes_at_ctrl_c, meanwhile=stop_after(60))
    assert (len(done.notes), done.kept) == (1, [(OUTPUT, True)])
    assert kept(done) == [*LINES, "late"]


def test_it_ends_before_the_idle_session_does(follow):
    async def act(node):
        await node.say(*LINES)
        with trio.move_on_after(LONGEST_TAIL):
            await until_ctrl_c(node)
            return
        node.hang_up()
        await trio.sleep_forever()

    done = follow(act, replace(WORK, duration=LONGEST_TAIL))
    assert (len(done.notes), done.kept) == (1, [(OUTPUT, True)])


async def takes_no_command(node):
    await node.say(*GREETING)
    await node.prompt()
    await node.read_line()
    await node.prompt()
    await trio.sleep_forever()


def test_a_command_that_is_not_taken(follow):
    done = follow(None, script=takes_no_command)
    assert (done.code, done.kept) == (Code.COMMAND_TIMEOUT, [(OUTPUT, False)])
    assert done.seconds < 100


def test_a_lost_connection_keeps_what_came(follow):
    async def act(node):
        await node.say(*LINES)
        await node.say("half a li", end="")
        await trio.sleep(5)
        node.hang_up()
        await trio.sleep_forever()

    done = follow(act)
    assert (done.code, done.kept) == (Code.CONNECTION_LOST, [(OUTPUT, False)])
    assert kept(done) == [*LINES, "half a li"]


def test_the_size_is_limited(follow, monkeypatch):
    monkeypatch.setattr(work_follow, "MOST_BYTES", 3_000_000)
    done = follow(without_end)
    assert (len(done.notes), done.kept) == (1, [(OUTPUT, True)])
    assert done.seconds < 60
    assert 3_000_000 - 80 < done.report.written[0].size <= 3_000_000
    assert set(kept(done)) == {"x" * 79}


def no_space(node):
    node.shortage = lambda descriptor: "no space"


@pytest.mark.parametrize(
    ("options", "code", "most"),
    [
        ({"quota": Quota(node=Allowance(40))}, Code.QUOTA_EXCEEDED, 40),
        ({"arrange": no_space}, Code.DISK_FULL, 0),
    ],
)
def test_no_room_fails_the_node(follow, options, code, most):
    done = follow(grows, **options)
    assert done.code == code
    assert done.report.written[0].size <= most


def test_a_cancel_keeps_what_came(follow):
    done = follow(grows, cancel_after=130)
    assert done.cancelled
    assert done.node.lines[-2:] == ["^C", "quit"]
    assert (kept(done), done.kept) == ([*LINES, "minute 1", "minute 2"], [(OUTPUT, False)])
    assert done.seconds < 132


# A stop before it has begun; tests/unit/work/test_cancel.py has a stop at each step


@pytest.mark.parametrize("seconds", [0, 7])
def test_a_stop_before_the_prompt(follow, seconds):
    async def hangs(node):
        await node.say(*GREETING)
        await trio.sleep_forever()

    timeouts = Timeouts(login=120)
    done = follow(None, script=hangs, meanwhile=stop_after(seconds), timeouts=timeouts)
    assert seconds <= done.seconds < seconds + 1
    assert (done.failure, len(done.notes), done.kept) == (None, 1, [])


def test_a_stop_before_a_late_echo(follow):
    async def script(node):
        await node.say(*GREETING)
        await node.prompt()
        await node.read_line()
        await node.prompt()
        await node.read_keys()
        await node.prompt()
        await trio.sleep(2)
        await node.say(LINE, *LINES)
        await until_ctrl_c(node)
        await node.prompt()
        await trio.sleep_forever()

    done = follow(None, script=script, meanwhile=stop_after(2))
    assert done.seconds < 30


def test_a_failed_retry_keeps_the_earlier_file(follow):
    follow(says(*LINES))
    done = follow(says("another", *LINES, UNSUCCESSFUL, ""), first_attempt=3)
    assert kept(done) == LINES
    assert done.output(THIRD).splitlines() == ["another", *LINES, UNSUCCESSFUL, ""]
    assert done.kept == [(THIRD, False)]
    assert done.report.grown == done.report.written[0].size
