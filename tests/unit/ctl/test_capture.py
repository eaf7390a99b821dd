"""What is said of a packet capture while it runs, and when it has ended."""

import argparse
import io
from datetime import timedelta

import pytest

from cucmctl.cli.typed_times import duration
from cucmctl.text import capture_text, render
from cucmctl.text.frame import Frame
from cucmctl.text.pace import Rates
from cucmctl.text.views import Lines
from cucmd.job.capture import Captured, CaptureSettings
from cucmd.job.failure import Failure
from unit.ctl.conftest import remarks_of

SETTINGS = CaptureSettings("cucmd_3f2a00112233")


@pytest.fixture
def capturing(job, began):
    """Makes a job that captures, for 60 s."""
    return lambda *nodes, **more: job(*nodes, kind="capture", **{"capture": SETTINGS, **more})


@pytest.fixture
def node(node, began):
    """A node whose capture began then; `lasted`: it has ended after that."""

    def _node(name="ccm-pub", status="running", *, lasted=None, **more):
        ended = None if lasted is None else began + timedelta(seconds=lasted)
        of_capture = {"running": ended is None, "ended_at": ended, **more.pop("of_capture", {})}
        capture = Captured("cucmd_3f2a00112233", began, **of_capture)
        return node(name, status, **{"phase": "command", "capture": capture, **more})

    return _node


@pytest.fixture
def frame(began):
    def _frame(job, *, now=0.0, width=80, **more):
        at = began + timedelta(seconds=now)
        lines = Frame(job, Rates(), now, at, width, **more).lines(24)
        return [line.plain.rstrip() for line in lines]

    return _frame


def test_the_live_view_says_how_long_it_still_captures(frame, capturing, node):
    job = capturing(node("ccm-pub"), node("ccm-sub1", lasted=12))
    head, amounts, first, second = frame(job, now=14.0)
    assert head == "job 3f2a00112233 running  2 nodes: 2 running"
    assert amounts == "14s so far  0 B  46s of the capture left"
    assert first == "ccm-pub  capturing 46s of the capture left"
    assert second.split() == ["ccm-sub1", "command", "0", "0", "B"]


def test_a_node_that_says_nothing_while_it_captures_is_not_silent(frame, capturing, node, began):
    job = capturing(node(heard_at=began), node("b", lasted=1, heard_at=began))
    *_, one, other = frame(job, now=40.0)
    assert "silent" not in one
    assert other.endswith("silent 40s")


def test_nodes_that_capture_do_not_come_before_one_that_hangs(frame, capturing, node, began):
    many = [node(f"n{number}", heard_at=began) for number in range(40)]
    hangs = node("z", lasted=1, heard_at=began)
    assert any(line.startswith("z ") for line in frame(capturing(*many, hangs), now=40.0))


@pytest.mark.parametrize("now", [59.5, 60.0, 75.0])
def test_what_is_over_is_not_promised(frame, capturing, node, now):
    lines = frame(capturing(node()), now=now)
    assert "left" not in lines[1]
    assert lines[2:] == ["ccm-pub ending"]


def test_nothing_is_promised_while_the_daemon_is_away(frame, capturing, node):
    lines = frame(capturing(node()), now=14.0, current=False)
    assert lines[1:] == ["14s so far  0 B", "ccm-pub capturing"]


def test_before_and_after_a_capture_the_phase_is_shown(frame, capturing, node):
    one = node(capture=None, phase="login")
    assert frame(capturing(one))[2].split()[:2] == ["ccm-pub", "login"]
    assert capture_text.TEXT.phase(node("a", "succeeded", lasted=1)) == ""


@pytest.mark.parametrize("width", [80, 44])
def test_every_line_of_a_capture_fits(frame, capturing, node, width):
    names = [f"node-{number}.a-long-name.example.org" for number in range(40)]
    lines = frame(capturing(*map(node, names)), now=14.0, width=width)
    assert max(map(len, lines)) <= width
    assert "46s of the capture left" in "\n".join(lines)


def test_status_shows_what_is_captured_and_the_packets_of_each_node(capturing, node, began):
    settings = CaptureSettings("cucmd_x", "eth0", "10.20.0.1", 5060, 500, 128, 90.5, delete=True)
    job = capturing(
        node("ccm-pub", "succeeded", lasted=9, of_capture={"packets": 312, "how": "stop"}),
        node("ccm-sub1"),
        status="running",
        capture=settings,
    )
    lines = list(render.show_job(job, began + timedelta(seconds=30), columns=80))
    assert (
        "captures packets of eth0 for 90.5 s, host 10.20.0.1, port 5060, 128 bytes of each; "
        "at most 500 of a node" in lines
    )
    assert "removes cucmd_x*.cap from the nodes once it is here" in lines
    at = next(at for at, line in enumerate(lines) if line.startswith("NODE"))
    heads, one, other = (line.split() for line in lines[at : at + 3])
    assert heads == ["NODE", "STATUS", "PHASE", "PACKETS", "FILES", "SIZE", "TIME"]
    assert one == ["ccm-pub", "succeeded", "312", "0", "0", "B", "42s"]
    assert other == ["ccm-sub1", "running", "capturing", "0", "0", "B", "30s"]
    assert max(map(len, lines[at:])) <= 80


def test_other_jobs_have_no_packets(job, node, began):
    assert "PACKETS" not in "\n".join(render.show_job(job(node(capture=None)), began))


@pytest.mark.parametrize(
    ("packets", "said"), [((5, 7), "12 packets"), ((1, None), "1 packet, not all counted")]
)
def test_the_end_counts_packets(capturing, node, packets, said):
    nodes = [node(f"n{n}", "succeeded", lasted=1, of_capture={"packets": n}) for n in packets]
    last = next(render.ending(capturing(*nodes, status="succeeded")))
    assert last.endswith(f"0 files, 0 B, {said}")


NAME = SETTINGS.name
GIVEN_UP = "a capture may still run there, into platform/cli/{}.cap"
NOT_YET = "it is not known yet that its capture has ended (platform/cli/{}.cap)"


def said_of(*nodes):
    return remarks_of(*nodes, kind="capture")


@pytest.fixture
def still(node):
    """A node whose capture is not known to have ended; `lasted` None: and is not given up."""

    def _still(name, status, *may_run, lasted=45, **more):
        return node(
            name, status, lasted=lasted, may_run=may_run, **more, of_capture={"running": True}
        )

    return _still


def test_captures_that_may_still_run_are_said_of_a_node_that_was_cancelled(still, node):
    nodes = still("a", "cancelled", NAME), still("b", "cancelled", NAME), still("c", "running")
    assert said_of(*nodes) == [f"a, b: {GIVEN_UP.format(NAME)}"]
    (said,) = said_of(still("a", "cancelled", NAME, f"{NAME}_2"))
    assert all(f"/{name}.cap" in said for name in (NAME, f"{NAME}_2"))
    # Before it came to capture in the second try, and while it is being ended there.
    (said,) = said_of(node("a", "cancelled", capture=None, may_run=(NAME,)))
    assert said == f"a: {GIVEN_UP.format(NAME)}"
    assert said_of(still("a", "cancelled", "cucmd_x", lasted=None)) == [
        f"a: {GIVEN_UP.format('cucmd_x')}",
        f"a: {NOT_YET.format(NAME)}",
    ]
    # A capture that was cut off by a kill while it was being ended.
    assert said_of(still("a", "cancelled", NAME, lasted=None)) == [f"a: {GIVEN_UP.format(NAME)}"]
    ended = node("a", "cancelled", lasted=45, may_run=(), of_capture={"running": False})
    assert said_of(ended) == []


def test_what_a_failure_and_notes_say_is_not_said_again_whatever_their_words(still):
    failure = Failure("interrupted", "it was stopped", True)
    more = {"error": failure.message, "failure": failure}
    (said,) = said_of(still("a", "failed", NAME, **more))
    assert failure.message in said
    assert said_of(still("a", "succeeded", NAME, notes=("x",))) == ["a: note: x"]
    _, said = said_of(still("a", "failed", lasted=None, **more))  # the job's deadline
    assert said == f"a: {NOT_YET.format(NAME)}"


def test_a_capture_is_a_line_when_it_begins_and_when_it_ends(capturing, node, change, clock, began):
    stream = io.StringIO()
    lines = Lines(stream, clock=clock, now=lambda: began)
    for one in (node(capture=None, phase="prepare"), node(), node(), node(lasted=9)):
        lines.show(change(capturing(one)))
    shown = [line.partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert [line for line in shown if line.startswith("ccm-pub")] == [
        "ccm-pub: running, prepare",
        "ccm-pub: running, capturing",
        "ccm-pub: running, command",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("90", 90), ("2m", 120), ("1m30s", 90), ("0.5s", 0.5), ("1m5", 65), ("2h", 7200)],
)
def test_a_duration(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1h h", "-5s", "1 m", "nan", "5sm", "1e3", "٣"])
def test_what_is_no_duration(text):
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)
