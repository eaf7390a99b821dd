"""Texts about a packet capture, while it runs and at its end."""

import argparse
from datetime import timedelta

import pytest

from cucmctl.cli.typed_times import duration
from cucmctl.text import render
from cucmctl.text.frame import Frame
from cucmctl.text.pace import Rates
from cucmd.job.capture import Captured, CaptureSettings
from unit.ctl.conftest import remarks_of

SETTINGS = CaptureSettings("cucmd_3f2a00112233")


@pytest.fixture
def capturing(job, began):
    """Makes a job that captures for 60 s."""
    return lambda *nodes, **more: job(*nodes, kind="capture", **{"capture": SETTINGS, **more})


@pytest.fixture
def node(node, began):
    """Makes a node that captures, or whose capture ended after `lasted` seconds."""

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


def test_live_view_shows_time_left(frame, capturing, node):
    job = capturing(node("ccm-pub"), node("ccm-sub1", lasted=12))
    head, amounts, first, second = frame(job, now=14.0)
    assert head == "job 3f2a00112233 running  2 nodes: 2 running"
    assert amounts == "14s so far  0 B  46s of the capture left"
    assert first == "ccm-pub  capturing 46s of the capture left"
    assert second.split() == ["ccm-sub1", "command", "0", "0", "B"]


def test_status_shows_packets(capturing, node, began):
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
        "at most 500 per node" in lines
    )
    assert "deletes cucmd_x*.cap from the nodes once they are here" in lines
    at = next(at for at, line in enumerate(lines) if line.startswith("NODE"))
    heads, one, other = (line.split() for line in lines[at : at + 3])
    assert heads == ["NODE", "STATUS", "PHASE", "PACKETS", "FILES", "SIZE", "TIME"]
    assert one == ["ccm-pub", "succeeded", "312", "0", "0", "B", "42s"]
    assert other == ["ccm-sub1", "running", "capturing", "0", "0", "B", "30s"]
    assert max(map(len, lines[at:])) <= 80


@pytest.mark.parametrize(
    ("packets", "said"), [((5, 7), "12 packets"), ((1, None), "1 packet, not all counted")]
)
def test_end_counts_packets(capturing, node, packets, said):
    nodes = [node(f"n{n}", "succeeded", lasted=1, of_capture={"packets": n}) for n in packets]
    last = next(render.ending(capturing(*nodes, status="succeeded")))
    assert last.endswith(f"0 files, 0 B, {said}")


NAME = SETTINGS.name
GIVEN_UP = "a capture may still run there, into platform/cli/{}.cap"
NOT_YET = "its capture may not have ended yet (platform/cli/{}.cap)"


def said_of(*nodes):
    return remarks_of(*nodes, kind="capture")


@pytest.fixture
def still(node):
    """Makes a node whose capture may still run; with `lasted` None it was not given up."""

    def _still(name, status, *may_run, lasted=45, **more):
        return node(
            name, status, lasted=lasted, may_run=may_run, **more, of_capture={"running": True}
        )

    return _still


def test_captures_that_may_still_run(still, node):
    nodes = still("a", "cancelled", NAME), still("b", "cancelled", NAME), still("c", "running")
    assert said_of(*nodes) == [f"a, b: {GIVEN_UP.format(NAME)}"]
    (said,) = said_of(still("a", "cancelled", NAME, f"{NAME}_2"))
    assert all(f"/{name}.cap" in said for name in (NAME, f"{NAME}_2"))
    # The second attempt has not begun to capture, and the first capture is being ended.
    (said,) = said_of(node("a", "cancelled", capture=None, may_run=(NAME,)))
    assert said == f"a: {GIVEN_UP.format(NAME)}"
    assert said_of(still("a", "cancelled", "cucmd_x", lasted=None)) == [
        f"a: {GIVEN_UP.format('cucmd_x')}",
        f"a: {NOT_YET.format(NAME)}",
    ]
    # The daemon was killed while it ended the capture.
    assert said_of(still("a", "cancelled", NAME, lasted=None)) == [f"a: {GIVEN_UP.format(NAME)}"]
    ended = node("a", "cancelled", lasted=45, may_run=(), of_capture={"running": False})
    assert said_of(ended) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("90", 90), ("2m", 120), ("1m30s", 90), ("0.5s", 0.5), ("1m5", 65), ("2h", 7200)],
)
def test_duration(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1h h", "-5s", "1 m", "nan", "5sm", "1e3", "٣"])
def test_bad_durations(text):
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)
