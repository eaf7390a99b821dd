"""A packet capture on one node: how it begins, and how it ends."""

import math

import pytest
import trio

from cucmd.failure import Code, fail
from cucmd.job.capture import Capture
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.vos import Machine, parse_machine
from cucmd.work.capture import (
    FULL,
    STOP_WITHIN,
    failure_if_no_room,
    largest_size,
    stop_seconds,
)
from rig.scripted_node import RecordedReport
from unit.work.capture_node import (
    LINE,
    NAME,
    WORK,
    CaptureNode,
    after,
    ctrl_c,
    for_ever,
    pcap,
    until_ctrl_c,
    until_enter,
)
from unit.work.conftest import stop_after


@pytest.fixture
def capture(play, folder):
    """Returns a function that captures on a node with these files. It gives (outcome, result)."""

    def capture(files=None, *, meanwhile=None, cancel_after=math.inf, **options):
        here = CaptureNode(folder, files, **options)
        done = play(here.script, WORK, meanwhile=meanwhile, cancel_after=cancel_after)
        captures = done.report.captures
        return done, captures[-1] if captures else None

    return capture


def test_duration_ends_the_capture(capture):
    done, last = capture()
    assert (last.name, last.how, last.packets, last.running) == (NAME, "duration", 3, False)
    assert (done.failure, done.notes) == (None, ())
    assert done.typed("utils") == [LINE]
    assert done.typed("file") == [f"file get activelog platform/cli/{NAME}*.cap*"]
    assert 60 <= done.seconds < 70
    assert len(done.counted) == 1
    assert done.report.phases[:2] == [Phase.LOGIN, Phase.PREPARE]
    assert done.report.phases[-1] is Phase.CLOSE
    first = done.report.captures[0]
    assert (first.running, first.ended_at, first.how) == (True, None, None)


def test_duration_begins_at_the_echo(capture):
    done, last = capture(echoes_after=20)
    assert (done.failure, last.how) == (None, "duration")
    assert 80 <= done.seconds < 90


def test_node_without_echo_gets_no_more_time(capture):
    done, last = capture(echoes_after=1000)
    assert (done.code, last.running, last.how) == (Code.COMMAND_TIMEOUT, True, "duration")
    assert 60 + STOP_WITHIN <= done.seconds < 60 + STOP_WITHIN + 10


class SlowStore(RecordedReport):
    """Takes 5 s to save, during which nothing may be captured, and fails if `fails`."""

    def __init__(self, here, *, fails=False):
        super().__init__()
        self._here, self._fails = here, fails

    async def wait_saved(self):
        assert [one.running for one in self.captures] == [True]
        await trio.sleep(5)
        assert self._here.captures == 0
        if self._fails:
            raise fail(Code.DISK_FULL, "no space")


@pytest.mark.parametrize("fails", [False, True])
def test_store_knows_before_the_capture(play, folder, fails):
    here = CaptureNode(folder)
    done = play(here.script, WORK, report=lambda _: SlowStore(here, fails=fails))
    assert done.code == (Code.DISK_FULL if fails else None)
    assert (here.captures, done.result.running) == (0 if fails else 1, False)


def test_count_ends_the_capture(capture):
    done, last = capture({f"{NAME}.cap": pcap(1000)}, runs=after(12))
    assert (last.how, last.packets, last.running, done.notes) == ("count", 1000, False, ())
    assert done.seconds < 30
    assert "^C" not in done.node.lines


def test_early_end_is_noted(capture):
    done, last = capture(runs=after(12, "Terminated"))
    (note,) = done.notes
    assert (last.how, last.packets, "Terminated" in note) == ("node", 3, True)


def prints_a_prompt(seconds):
    """Prints a prompt as output, and captures on, for so long or until Ctrl-C."""

    async def act(node):
        await trio.sleep(5)
        await node.say("12:00:01 IP a > b: user admin:", end="")
        with trio.move_on_after(seconds):
            await until_ctrl_c(node)

    return act


@pytest.mark.parametrize(("seconds", "how"), [(1000, "duration"), (30, "node")])
def test_output_like_the_prompt_ends_nothing(capture, seconds, how):
    done, last = capture(runs=prints_a_prompt(seconds))
    assert (last.how, last.packets, last.running) == (how, 3, False)
    assert done.seconds >= min(WORK.duration, 5 + seconds)
    assert ("^C" in done.node.lines) is (how == "duration")


def test_stop_ends_the_capture(capture):
    done, last = capture(meanwhile=stop_after(10))
    assert (last.how, last.packets, last.running) == ("stop", 3, False)
    assert done.seconds < 30


@pytest.mark.parametrize("echoes_after", [0.0, 3.0])
def test_early_stop_waits_for_the_file(play, folder, echoes_after):
    here = CaptureNode(folder, {}, echoes_after=echoes_after)

    async def makes_its_file(node):
        """Makes its file, unless a Ctrl-C comes before, which ends the capture without one."""
        with trio.move_on_after(0.5):
            await until_ctrl_c(node)
            return
        here.files = {f"{NAME}.cap": pcap(1)}
        await until_ctrl_c(node)

    stops = []

    class Stops(RecordedReport):
        def __init__(self, task):
            super().__init__()
            self._joint_run = task.joint_run

        def result(self, result):
            if not self.captures:
                stops.extend([self._joint_run.stop(), self._joint_run.stop()])
            super().result(result)

    here.runs = makes_its_file
    done = play(here.script, WORK, report=Stops)
    assert stops == [1, 1]
    assert (done.result.how, done.result.packets, done.result.running) == ("stop", 1, False)
    assert done.seconds < echoes_after + 5


def test_stop_does_not_wait_for_an_echo(capture):
    done, last = capture(echoes_after=1000, meanwhile=stop_after(5))
    assert (done.code, last.running, last.how) == (Code.COMMAND_TIMEOUT, True, "stop")
    assert done.seconds < 20 + STOP_WITHIN


async def with_a_blank_after_its_prompt(node):
    node.prompt_shown = "admin: "
    await until_ctrl_c(node)
    assert node.lines.count("^C") == 1


async def slowly(node):
    await until_ctrl_c(node)
    await trio.sleep(STOP_WITHIN - 5)


@pytest.mark.parametrize(
    "runs",
    [
        lambda node: ctrl_c(node, 2),
        lambda node: ctrl_c(node, 20),
        until_enter,
        with_a_blank_after_its_prompt,
        slowly,
    ],
)
def test_ways_to_end_at_ctrl_c(capture, runs):
    _, last = capture(runs=runs)
    assert (last.how, last.packets, last.running) == ("duration", 3, False)


async def cuts(node):
    raise trio.BrokenResourceError


async def cuts_after_ctrl_c(node):
    await until_ctrl_c(node)
    raise trio.BrokenResourceError


async def asks(node):
    assert await node.ask("The file exists. Overwrite (y/n)?") == "^C"


@pytest.mark.parametrize(
    ("runs", "code", "running", "how", "words"),
    [
        (for_ever, Code.COMMAND_TIMEOUT, True, "duration", "after Ctrl-C"),
        (cuts, Code.CONNECTION_LOST, True, "failed", ""),
        (cuts_after_ctrl_c, Code.CONNECTION_LOST, True, "duration", ""),
        (asks, Code.COMMAND_REFUSED, False, "failed", "Overwrite"),
        (
            after(0, "Insufficient disk space", "Executed command unsuccessfully"),
            Code.COMMAND_REFUSED,
            False,
            "failed",
            "Insufficient disk space",
        ),
    ],
)
def test_a_failed_capture_gets_no_file(capture, runs, code, running, how, words):
    done, last = capture(runs=runs)
    assert (done.code, last.running, last.how) == (code, running, how)
    assert words in done.failure.message
    assert done.typed("file get") == []
    assert done.seconds < 60 + STOP_WITHIN + 10


@pytest.mark.parametrize("packets", [3, None])
def test_a_late_question_is_only_quoted(capture, packets):
    async def asks_late(node):
        await trio.sleep(WORK.duration - 2)
        assert await node.ask("Continue (y/n)?") == "^C"

    done, last = capture({f"{NAME}.cap": pcap(packets)} if packets else {}, runs=asks_late)
    if packets:
        assert (last.how, last.packets) == ("duration", packets)
    else:
        assert done.code == Code.COMMAND_REFUSED
        assert "Continue (y/n)?" in done.failure.message


def test_a_full_node_captures_nothing(capture):
    done, last = capture(status=["Disk/logging 69234984K 5315340K 60379628K (92%)"])
    assert (done.code, last, done.typed("utils")) == (Code.COMMAND_REFUSED, None, [])


def test_a_late_node_captures_nothing(capture):
    async def others_begin(task):
        task.joint_run.leave("cucm-pub")
        assert await task.joint_run.wait_for_start("another")

    done, last = capture(meanwhile=others_begin)
    assert (done.code, last) == (Code.LOGIN_TIMEOUT, None)


def test_an_earlier_capture_stays_named(play, folder):
    here, before = CaptureNode(folder, {f"{NAME}_3.cap": pcap(1)}), (NAME, f"{NAME}_2")
    done = play(here.script, WORK, first_attempt=3, may_run=before)
    assert done.result.name == f"{NAME}_3"
    assert done.typed("utils") == [LINE.replace(NAME, f"{NAME}_3")]
    assert ["may still run" in note for note in done.notes] == [True, True]
    assert all(f"/{name}.cap" in note for name, note in zip(before, done.notes, strict=True))


# Cancels: tests/unit/work/test_cancel.py has one at each step


@pytest.mark.parametrize("runs", [until_ctrl_c, prints_a_prompt(1000)])
def test_a_cancel_ends_it_on_the_node(capture, runs):
    done, last = capture(runs=runs, cancel_after=20)
    assert done.cancelled
    assert done.node.lines[-2:] == ["^C", "quit"]
    assert (last.running, last.how, done.counted) == (False, "cancelled", [])
    assert last.ended_at is not None
    assert done.seconds < 21


def test_a_cancel_waits_a_limited_time(capture):
    done, last = capture(runs=for_ever, cancel_after=20)
    assert last.running
    assert STOP_WITHIN <= done.seconds - 20 <= STOP_WITHIN + Timeouts().grace
    assert "quit" not in done.node.lines


def test_a_cancel_at_the_end_waits_for_the_prompt(capture):
    async def slow(node):
        await until_ctrl_c(node)
        await trio.sleep(30)

    done, last = capture(runs=slow, cancel_after=65)
    assert (last.running, last.how) == (False, "duration")
    assert 24 <= done.seconds - 65 < 30
    assert done.typed("file get") == []


@pytest.mark.parametrize(("grace", "seconds"), [(5, 45), (1, 45), (20, 30), (45, 5)])
def test_a_stopped_daemon_has_time(grace, seconds):
    assert stop_seconds(grace) == seconds
    assert stop_seconds(grace) + grace <= 50  # systemd kills after 60


# Room on the node

MIB = 1024 * 1024


def status(used_percent, *, gib=60, name="logging"):
    whole = gib * MIB  # KiB
    used = whole * used_percent // 100
    lines = [
        "Disk/active         19813288K        1234567K       18370776K (94%)",
        f"Disk/{name}       {whole + 3 * MIB}K  {whole - used}K  {used}K ({used_percent}%)",
    ]
    return parse_machine(lines)


@pytest.mark.parametrize(
    ("machine", "request_", "fits"),
    [
        *((status(percent), Capture("x"), True) for percent in (0, 61, FULL - 1)),
        *((status(percent), Capture("x"), False) for percent in (FULL, 92, 100)),
        # 205 MiB are free, 51 MiB until it is too full
        (status(80, gib=1), Capture("x", count=100_000), False),
        (status(80, gib=1), Capture("x", count=20_000), True),
        (status(80, gib=1), Capture("x", count=100_000, size=96), True),
        (status(0, gib=0), Capture("x"), False),
        (Machine(), Capture("x"), False),
        (status(10, name="common"), Capture("x"), False),
    ],
)
def test_room_for_a_capture(machine, request_, fits):
    failure = failure_if_no_room(machine, request_)
    assert (failure is None) is fits
    assert fits or failure.code == Code.COMMAND_REFUSED


@pytest.mark.parametrize(("size", "packet"), [(None, 1514), (96, 96), (9000, 1514)])
def test_the_largest_file(size, packet):
    assert largest_size(Capture("x", count=10, size=size)) == 10 * (packet + 16)
