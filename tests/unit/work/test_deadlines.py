"""The deadline of each phase: its failure, and how the connection is closed."""

from datetime import UTC, datetime

import pytest
import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.collect import Collect
from cucmd.job.timeouts import Timeouts
from cucmd.node.deadlines import limit_phases
from rig.packed import tgz
from rig.scripted_node import (
    COMPLETED,
    GATHERING,
    QUESTIONS,
    announce,
    appliance,
    by_path,
    pushes,
)

PACKED = Collect(("cm/trace/ccm/sdl",), compress=True)


async def hang(node, line=""):
    """Answers nothing but the end of the connection."""
    while True:
        await node.read_line()


async def greets_and_hangs(node):
    await node.say("", "admin:", end="")
    await hang(node)


def never(name):
    return lambda node: setattr(node, name, trio.Event())


@pytest.mark.parametrize(
    ("script", "arrange", "code", "seconds", "hint"),
    [
        (hang, never("before_connection"), Code.CONNECT_TIMEOUT, 30, None),
        (hang, never("before_login"), Code.CONNECT_TIMEOUT, 30, "SSH"),
        (hang, None, Code.LOGIN_TIMEOUT, 120, None),
        (greets_and_hangs, None, Code.COMMAND_TIMEOUT, 60, "does not answer"),
    ],
    ids=["connect", "no ssh", "login", "first command"],
)
def test_deadlines_before_the_first_file(play, script, arrange, code, seconds, hint):
    done = play(script, arrange=arrange)
    assert done.code == code
    assert done.failure.message.startswith(f"TimeoutError: Timed out after {seconds}s")
    assert done.seconds == pytest.approx(seconds, abs=6)
    assert (done.failure.hint == failure(code, "").hint) is (hint is None)
    assert (hint or "") in done.failure.hint
    assert "window" not in done.failure.hint


def test_ctrl_c_and_quit_end_a_command(play):
    async def gathers_until_interrupted(node, line):
        await node.say(GATHERING)
        while await node.read_line() != "^C":
            pass

    done = play(appliance(gathers_until_interrupted))
    assert done.code == Code.COMMAND_TIMEOUT
    assert "file get activelog cm/trace/ccm/sdl" in done.failure.message
    assert done.seconds == pytest.approx(600, abs=6)
    assert done.node.lines[-2:] == ["^C", "quit"]


@pytest.mark.parametrize("command", [vos.PAGER_OFF, vos.SHOW_STATUS])
def test_a_plain_command_has_its_own_timeout(play, command):
    async def hangs_at(node):
        await node.say("", "admin:", end="")
        while (line := await node.read_line()) != command:
            await node.say(line, "admin:", end="")
        await hang(node)

    request = Collect(("core",), since=datetime(2026, 11, 25, 9, tzinfo=UTC))
    done = play(hangs_at, request, timeouts=Timeouts(connect=5, answer=7, command=8))
    assert done.code == Code.COMMAND_TIMEOUT
    assert f"'{command}'" in done.failure.message
    assert [line for line in done.node.lines if line not in ("^C", "")][-1] == command
    assert done.seconds == pytest.approx(7, abs=6)


def test_each_file_get_has_the_command_timeout(play):
    async def gathers_long(node, line):
        await trio.sleep(500)
        await pushes(1)(node, line)

    request = Collect(("a", "b", "c"))
    assert play(appliance(gathers_long), request, timeouts=Timeouts(answer=1)).failure is None


def test_a_hanging_node_is_cut_after_the_grace(play):
    done = play(appliance(hang), timeouts=Timeouts(command=100, grace=4))
    assert done.code == Code.COMMAND_TIMEOUT
    assert done.seconds == pytest.approx(102, abs=4.1)


async def comes_slowly(node):
    for _ in range(20):
        await trio.sleep(100)
        node.target.receive(1)
    node.target.store("slow", 20)


async def shows_dots(node):
    for _ in range(20):
        await trio.sleep(100)
        await node.say(".", end="")
    node.target.store("slow", 20)


@pytest.mark.parametrize("transfer", [comes_slowly, shows_dots])
@pytest.mark.parametrize("left_out", [None, *QUESTIONS])
def test_a_moving_transfer_may_take_longer(play, left_out, transfer):
    async def trickle(node, line):
        await announce(node, 1, 20, [question for question in QUESTIONS if question != left_out])
        await transfer(node)
        await node.say("", COMPLETED)

    done = play(appliance(trickle))
    assert (done.failure, done.counted) == (None, ["slow"])


@pytest.mark.parametrize("questions", [QUESTIONS, QUESTIONS[:-1], QUESTIONS[:3]])
def test_an_echo_does_not_prolong_the_command(play, questions):
    async def silent_after_the_questions(node, line):
        for question in questions:
            await node.say(f"{question} ", end="")
            await trio.sleep(0.1)  # the echo comes later than our answer
            await node.read_line()
        await hang(node)

    timeouts = Timeouts(connect=8, command=8, grace=1)
    done = play(appliance(silent_after_the_questions), timeouts=timeouts)
    assert done.code == Code.COMMAND_TIMEOUT
    assert done.failure.message.startswith("TimeoutError: Timed out after 8s")
    assert "(command timeout)" in done.failure.message
    assert done.seconds == pytest.approx(9, abs=2)


async def stalls(node, line):
    await announce(node, 1, 50)
    await hang(node)


async def agrees_and_returns(node, line):
    await announce(node, 1, 50)


async def stalls_in_the_middle(node, line):
    await announce(node, 1, 50)
    await trio.sleep(60)
    node.target.receive(1)
    await hang(node)


async def stalls_after_packing(node, line):
    await announce(node, 1, 50)
    await trio.sleep(300)
    node.target.receive(1)
    await hang(node)


async def stops_after_a_dot(node, line):
    await announce(node, 1, 50)
    await trio.sleep(590)
    await node.say(".", end="")
    await hang(node)


async def is_turned_away(node, line):
    node.target.refused, node.target.refused_why = 1, "too many others are logging in"
    await stalls(node, line)


async def has_a_wrong_password(node, line):
    await announce(node, 1, 50)
    node.target.wrong_logins += 1
    await hang(node)


async def never_closes_its_file(node, line):
    await announce(node, 1, 5)
    node.target.receive(5)
    node.target.files_closed = trio.Event()
    await node.say(COMPLETED)


@pytest.mark.parametrize(
    ("file_get", "compress", "code", "seconds", "words"),
    [
        (stalls, False, Code.RECEIVER_UNREACHABLE, 120, "no login came in"),
        (is_turned_away, False, Code.RECEIVER_UNREACHABLE, 120, "too many others"),
        (stalls_in_the_middle, False, Code.STALLED, 180, ""),
        (never_closes_its_file, False, Code.STALLED, 120, ""),
        (stalls_after_packing, True, Code.STALLED, 300 + 120, ""),
        # A node that packs has the time of a command for that.
        (stalls, True, Code.COMMAND_TIMEOUT, 600, ""),
        (stops_after_a_dot, True, Code.RECEIVER_UNREACHABLE, 590 + 120, ""),
        (is_turned_away, True, Code.RECEIVER_UNREACHABLE, 600, "too many others"),
        (has_a_wrong_password, True, Code.RECEIVER_REJECTED, 600, ""),
    ],
)
def test_deadlines_of_a_transfer(play, file_get, compress, code, seconds, words):
    request = Collect(("cm/trace/ccm/sdl",), compress=compress)
    done = play(appliance(file_get), request)
    assert done.code == code
    assert done.seconds == pytest.approx(seconds, abs=8)
    assert words in done.failure.message
    assert done.failure.hint


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("file_get", [stalls, agrees_and_returns])
def test_the_hint_names_the_receivers_address(play, file_get, compress):
    request = Collect(("cm/trace/ccm/sdl",), compress=compress)
    hint = play(appliance(file_get), request, advertise="2001:db8::1").failure.hint
    assert "[2001:db8::1]:2222" in hint
    assert "another host key" in hint  # which looks the same from here


def test_the_stall_timeout_ends_with_the_command(play):
    timeouts = Timeouts(command=70, stall=120)
    done = play(appliance(stalls_in_the_middle), timeouts=timeouts)
    assert done.code == Code.STALLED
    assert done.failure.message.startswith("TimeoutError: Timed out after 70s")
    assert "command" in done.failure.message.partition("stall timeout")[2]
    assert done.seconds == pytest.approx(60 + 70, abs=8)


def test_a_second_path_needs_its_own_login(play):
    file_get = by_path(syslog=pushes(5), core=stalls)
    done = play(appliance(file_get), Collect(("syslog", "core")))
    assert done.code == Code.RECEIVER_UNREACHABLE
    assert "no login came in" in done.failure.message


@pytest.mark.parametrize("dots", [False, True])
def test_packing_may_take_longer_than_a_stall(play, folder, dots):
    """With dots it may even take longer than a command, since the node shows that it works."""

    async def packs(node, line):
        await announce(node, 1, 5)
        for _ in range(10 if dots else 4):
            await trio.sleep(119)
            if dots:
                await node.say(".", end="")
        node.target.put(folder, "active.tgz", tgz({"log": bytes(5)}))
        await node.say("", COMPLETED)

    assert play(appliance(packs), PACKED).failure is None


async def test_the_first_expired_clock_is_the_reason(autojump_clock):
    async def connect_and_begin_late_to_log_in():
        with limit_phases() as clock:
            clock.start(Code.CONNECT_TIMEOUT, 30, "connecting")
            try:
                await trio.sleep_forever()
            finally:
                clock.start(Code.LOGIN_TIMEOUT, 120, "logging in")

    with pytest.raises(NodeFailed, match=" 30s connecting") as caught:
        await connect_and_begin_late_to_log_in()
    assert caught.value.failure.code == Code.CONNECT_TIMEOUT


def test_question_in_a_plain_command_ends_it(play):
    async def asks(node, line):
        await node.say("Continue (y/n)? ", end="")
        while await node.read_line() != "^C":
            pass

    request = Collect(("syslog",), since=datetime(2026, 3, 1, tzinfo=UTC))
    done = play(appliance(pushes(5), status=asks), request)
    assert done.code == Code.COMMAND_REFUSED
    assert "Continue (y/n)?" in done.failure.message
    assert done.node.lines[-2:] == ["^C", "quit"]
    assert done.seconds < 30
