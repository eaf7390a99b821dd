"""The live view of a job: which nodes get a line, and that every line fits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cucmctl.text.frame import LONG_SILENT, URGENCY, Frame, select
from cucmctl.text.pace import Rates
from cucmd.job.work_request import Collection
from cucmd.protocol.jobs import Node
from unit.ctl.conftest import make_job, make_node

BEGAN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
STATUSES = st.lists(st.sampled_from(list(URGENCY)), max_size=60)


@pytest.fixture
def frame():
    def _frame(job, width=80, height=24, rates=None, now=0.0, **more):
        """Returns the lines: the first two are the heading, then each node has one."""
        at = BEGAN + timedelta(seconds=now)
        lines = Frame(job, rates or Rates(), now, at, width, **more).lines(height)
        return [line.plain.rstrip() for line in lines]

    return _frame


def test_bar_grows_with_the_bytes(frame, job, node):
    def bar(received, status="running"):
        one = node(status=status, bytes_announced=1000, bytes_received=received)
        line = frame(job(one))[2]
        return line.count("━") / (line.count("━") + line.count("╌"))

    assert bar(0) == 0
    assert bar(500) == pytest.approx(0.5, abs=0.05)
    assert 0.9 < bar(1000) < 1  # only the node's success makes it full
    assert 0.9 < bar(5000) < 1
    assert bar(700, "succeeded") == 1


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (
            95,
            "job 3f2a00112233 running  60 nodes:"
            " 20 succeeded, 8 running, 20 pending, 10 failed, 2 cancelled",
        ),
        (80, "job 3f2a00112233 running  60 nodes: 20 succeeded, 8 running, 10 failed …"),
        (60, "job 3f2a00112233 running  60 nodes: 8 running, 10 failed …"),
        (40, "job 3f2a00112233 running  60 nodes …"),
        (20, "running  60 nodes …"),
    ],
)
def test_heading_leaves_out_counts_first(frame, job, node, width, shown):
    counts = {"succeeded": 20, "running": 8, "pending": 20, "failed": 10, "cancelled": 2}
    states = [status for status, count in counts.items() for _ in range(count)]
    before, after = (
        job(*(node(f"n{i}", status, bytes_received=b) for i, status in enumerate(states)))
        for b in (0, 1_000_000)
    )
    rates = Rates()
    rates.observe(before, 0.0)
    rates.observe(after, 1.0)
    assert frame(after, width, rates=rates, now=1.0)[0] == shown


@pytest.fixture
def moving(job, node):
    """A node that has sent 5 MB of 20 in 5 s, and one with 2 of 10; they began a minute ago."""
    began = BEGAN - timedelta(seconds=55)
    known = {"all_announced": True, "files_announced": 8, "heard_at": BEGAN + timedelta(seconds=5)}

    def states(share):
        return job(
            node("a", bytes_announced=20_000_000, bytes_received=int(5e6 * share), **known),
            node("b", bytes_announced=10_000_000, bytes_received=int(2e6 * share), **known),
            started_at=began,
        )

    rates = Rates()
    for second in range(6):
        rates.observe(states(second / 5), float(second))
    return states(1), rates


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (
            110,
            "a transfer  ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌"
            "     0/8       5.0/20.0 MB    1.0 MB/s    15s left",
        ),
        (
            80,
            "a transfer  ━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌     0/8       5.0/20.0 MB    1.0 MB/s    15s left",
        ),
        (62, "a transfer       0/8       5.0/20.0 MB    1.0 MB/s    15s left"),
        (61, "a transfer  ━━╌╌╌╌╌╌╌     0/8       5.0/20.0 MB      1.0 MB/s"),
        (51, "a transfer  ━╌╌╌╌╌╌       5.0/20.0 MB      1.0 MB/s"),
        (30, "a transfer         5.0/20.0 MB"),
        (29, "a transfer"),
    ],
)
def test_sending_node_shows_what_fits(frame, moving, width, shown):
    one, rates = moving
    assert frame(one, width, rates=rates, now=5.0)[2] == shown


def silent(node, seconds, name="a", **fields):
    return node(name, heard_at=BEGAN - timedelta(seconds=seconds), **fields)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, "a transfer" + " " * 27 + "0              10 B            silent 1m12s"),
        (44, "a transfer                10 B  silent 1m12s"),
        (43, "a transfer                             10 B"),
    ],
)
def test_silence_replaces_the_pace(frame, job, node, width, shown):
    assert frame(job(silent(node, 72, bytes_received=10)), width)[2] == shown


def test_silent_nodes_come_first(frame, job, node):
    quiet = [silent(node, LONG_SILENT, f"q{n}") for n in range(2)]
    failed = node("f", "failed", error="it broke")
    nodes = [*(node(f"r{n}") for n in range(30)), *quiet, failed]
    shown = [line.split()[0] for line in frame(job(*nodes), height=9)[2:-1]]
    assert shown == ["r0", "q0", "q1", "f"]


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"all_announced": None}, {}),  # other paths follow, or the daemon is older
        ({}, {"collection": Collection(compress=True)}),
        ({"bytes_announced": None}, {}),
        ({"status": "pending"}, {}),
    ],
)
def test_time_left_is_never_guessed(frame, moving, node, job, fields, more):
    one, rates = moving
    first, second = one.nodes
    changed = replace(one, nodes=(replace(first, **fields), second), **more)
    lines = frame(changed, rates=rates, now=5.0)
    assert "left" not in lines[1] + lines[2]


def test_unsaved_job_says_why(frame, job, node):
    nodes = [node(f"n{number}") for number in range(9)]
    lines = frame(job(*nodes, unsaved="the disk is full"), height=7)
    assert lines[2] == "later changes cannot be stored, and are not shown: the disk is full"
    assert (len(lines), lines[-1]) == (5, "and 8 more: 8 running")


def test_names_are_cut_last(frame, job, node):
    names = [f"ccm-sub{number}.branch.voice.example.org" for number in (1, 2)]
    moved = {"bytes_announced": 2000, "bytes_received": 1000, "files_announced": 4}
    one = job(*(node(name, **moved) for name in names))
    for width in (100, 80, 65, 62):
        shown = frame(one, width)[2:4]
        assert [line.split()[0] for line in shown] == names
        assert "1.0/2.0 kB" in shown[0]
    assert ["━" in frame(one, width)[2] for width in (100, 80, 65)] == [True, False, False]


@given(STATUSES, st.integers(1, 40))
def test_urgent_nodes_get_the_lines(statuses, space):
    from types import SimpleNamespace

    nodes = [SimpleNamespace(node="a", status=status) for status in statuses]
    shown, hidden = select(nodes, space)
    assert len(shown) + len(hidden) == len(nodes)
    assert len(shown) + bool(hidden) <= max(space, 1)
    if shown and hidden:
        worst = max(URGENCY[node.status] for node in shown)
        assert worst <= min(URGENCY[node.status] for node in hidden)


@given(
    st.integers(10, 200),
    st.integers(1, 50),
    st.lists(st.tuples(st.text(max_size=90), st.sampled_from(list(URGENCY))), max_size=20),
)
def test_every_picture_fits(width, height, nodes):
    made = tuple(
        Node(
            *(name, status, name, 1, name, None, (name,), BEGAN, None),
            *(12345, 10**12, 12344, 123_456_789),
        )
        for name, status in nodes
    )
    lines = Frame(make_job(*(made or [make_node()])), Rates(), 0.0, BEGAN, width).lines(height)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert all(line.plain.isprintable() for line in lines)


def test_equal_failures_share_a_line(frame, job, node):
    refused = [node(f"f{n}", "failed", error=f"f{n} refused the login") for n in range(30)]
    lines = frame(job(*refused, *(node(f"r{n}") for n in range(10))))
    assert lines[2] == "f0  failed    and 29 more: refused the login"
    assert [line.split()[0] for line in lines[3:]] == [f"r{n}" for n in range(10)]


def test_lines_begin_with_host_names(frame, job, node):
    asked = node("10.0.0.1", name="pub")
    waits = node("10.0.0.2", "pending", waits_for=("10.0.0.1",), waits_since=BEGAN, name="sub")
    _, _, first, second, *_ = frame(job(asked, waits))
    assert first.startswith("pub transfer")
    assert second.startswith("sub pending   waits for the login on pub (")
