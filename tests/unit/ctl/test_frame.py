"""The live view of a job: what gets a line, and that every line fits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cucmctl.text.frame import LONG_SILENT, SILENT, URGENCY, Frame, select
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


def test_a_bar_grows_with_the_bytes(frame, job, node):
    def bar(received, status="running"):
        one = node(status=status, bytes_announced=1000, bytes_received=received)
        line = frame(job(one))[2]
        return line.count("━") / (line.count("━") + line.count("╌"))

    assert bar(0) == 0
    assert bar(500) == pytest.approx(0.5, abs=0.05)
    assert 0.9 < bar(1000) < 1  # only the node's success makes it full
    assert 0.9 < bar(5000) < 1
    assert bar(700, "succeeded") == 1


def test_what_a_node_packs_is_no_part_of_what_it_announced(frame, job, node):
    one = node(files_announced=27, bytes_announced=5_200_000, files_received=5, bytes_received=900)
    line = frame(job(one, collection=Collection(compress=True)))[2]
    assert line.split() == ["ccm-pub", "transfer", "5", "900", "B"]


def test_no_bar_before_a_size_is_announced(frame, job, node):
    assert not set(frame(job(node(bytes_received=5)))[2]) & set("━╌")


def test_the_rate_is_shown_of_the_node_and_of_the_job(frame, job, node):
    rates = Rates()
    rates.observe(job(node("a"), node("b")), 0.0)
    seen = job(node("a", bytes_received=1_000_000), node("b", bytes_received=1_000_000))
    rates.observe(seen, 1.0)
    lines = frame(seen, rates=rates, now=1.0)
    assert lines[1].endswith("2.0 MB/s")
    assert lines[2].endswith("1.0 MB/s")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (
            95,
            "job 3f2a00112233 running  60 nodes:"
            " 20 succeeded, 8 running, 20 pending, 10 failed, 2 cancelled",
        ),
        (
            94,
            "job 3f2a00112233 running  60 nodes: 20 succeeded, 8 running, 20 pending, 10 failed …",
        ),
        (80, "job 3f2a00112233 running  60 nodes: 20 succeeded, 8 running, 10 failed …"),
        (60, "job 3f2a00112233 running  60 nodes: 8 running, 10 failed …"),
        (50, "job 3f2a00112233 running  60 nodes: 10 failed …"),
        (40, "job 3f2a00112233 running  60 nodes …"),
        (30, "job 3f2a00112233 running"),
        (20, "running  60 nodes …"),
    ],
)
def test_the_heading_leaves_out_counts_before_what_has_come_and_how_fast(
    frame, job, node, width, shown
):
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
        (80, "1m00s so far  7.0/30.0 MB  1.4 MB/s  20s left"),
        (45, "1m00s so far  7.0/30.0 MB  1.4 MB/s  20s left"),
        (44, "1m00s so far  7.0/30.0 MB  20s left"),
        (34, "1m00s so far  20s left"),
        (21, "1m00s so far"),
    ],
)
def test_the_second_line_has_the_times_before_all_else(frame, moving, width, shown):
    one, rates = moving
    assert frame(one, width, rates=rates, now=5.0)[1] == shown


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
        (52, "a transfer       0/8       5.0/20.0 MB      1.0 MB/s"),
        (51, "a transfer  ━╌╌╌╌╌╌       5.0/20.0 MB      1.0 MB/s"),
        (44, "a transfer         5.0/20.0 MB      1.0 MB/s"),
        (43, "a transfer                      5.0/20.0 MB"),
        (30, "a transfer         5.0/20.0 MB"),
        (29, "a transfer"),
    ],
)
def test_a_node_that_sends_has_as_much_as_fits(frame, moving, width, shown):
    one, rates = moving
    assert frame(one, width, rates=rates, now=5.0)[2] == shown


def test_a_node_that_waits_for_a_login_says_so(frame, job, node):
    since = BEGAN - timedelta(seconds=12)
    waits = node("b", "pending", waits_for=("a",), waits_since=since)
    assert frame(job(node("a"), waits))[3] == "b pending   waits for the login on a (12s)"


def silent(node, seconds, name="a", **fields):
    return node(name, heard_at=BEGAN - timedelta(seconds=seconds), **fields)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, "a transfer" + " " * 27 + "0              10 B            silent 1m12s"),
        (61, "a transfer" + " " * 18 + "0              10 B  silent 1m12s"),
        (44, "a transfer                10 B  silent 1m12s"),
        (43, "a transfer                             10 B"),
    ],
)
def test_a_silence_stands_in_place_of_the_pace(frame, job, node, width, shown):
    assert frame(job(silent(node, 72, bytes_received=10)), width)[2] == shown


def test_a_silence_is_shown_once_it_is_one(frame, job, node):
    assert "silent" not in frame(job(silent(node, SILENT - 1)))[2]
    assert frame(job(silent(node, SILENT)))[2].endswith("silent 5s")
    assert frame(job(silent(node, 3599)), 52)[2].endswith("  0 B silent 59m59s")


def test_nothing_is_said_of_a_silence_that_is_not_known(frame, job, node):
    before = node("a")  # by a daemon that does not tell
    ended = silent(node, 99, "b", status="succeeded")
    assert "silent" not in "".join(frame(job(before, ended)))
    away = frame(job(silent(node, 99)), current=False)
    assert "silent" not in "".join(away)


def test_nodes_that_say_nothing_come_before_those_that_send(frame, job, node):
    quiet = [silent(node, LONG_SILENT, f"q{n}") for n in range(2)]
    failed = node("f", "failed", error="it broke")
    nodes = [*(node(f"r{n}") for n in range(30)), *quiet, failed]
    shown = [line.split()[0] for line in frame(job(*nodes), height=9)[2:-1]]
    assert shown == ["r0", "q0", "q1", "f"]


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"all_announced": None}, {}),  # there are other paths, or the daemon does not tell
        ({}, {"collection": Collection(compress=True)}),
        ({"bytes_announced": None}, {}),
        ({"status": "pending"}, {}),
    ],
)
def test_no_time_left_is_guessed(frame, moving, node, job, fields, more):
    one, rates = moving
    first, second = one.nodes
    changed = replace(one, nodes=(replace(first, **fields), second), **more)
    lines = frame(changed, rates=rates, now=5.0)
    assert "left" not in lines[1] + lines[2]


def test_a_job_whose_last_bytes_have_come_has_no_time_left(frame, job, node):
    one = node(all_announced=True, bytes_announced=5, bytes_received=5)
    assert frame(job(one))[1] == "0s so far  5 B"


def test_a_low_terminal_has_the_nodes_and_not_the_second_line(frame, job, node):
    lines = frame(job(node("a"), node("b")), height=6)
    assert [line.split()[0] for line in lines] == ["job", "a", "b"]


def test_a_failed_node_says_why(frame, job, node):
    line = frame(job(node(status="failed", error="TimeoutError: Timed out after 30s")))[2]
    assert line == "ccm-pub failed    Timed out after 30s"


def test_why_nothing_new_comes_is_seen_however_little_room_there_is(frame, job, node):
    nodes = [node(f"n{number}") for number in range(9)]
    lines = frame(job(*nodes, unsaved="the disk is full"), height=7)
    assert lines[2] == "later changes cannot be stored, and are not shown: the disk is full"
    assert (len(lines), lines[-1]) == (5, "and 8 more: 8 running")


def test_a_failed_node_is_named_once(frame, job, node):
    failed = node("127.0.0.1:2022", "failed", error="127.0.0.1:2022 refused the login")
    assert frame(job(failed))[2] == "127.0.0.1:2022 failed    refused the login"


def test_an_ascii_terminal_gets_ascii(frame, job, node):
    one = job(node(bytes_announced=10, bytes_received=5))
    assert "".join(frame(one, ascii_only=True)).isascii()


def test_names_stay_whole_while_there_is_anything_else_to_leave_out(frame, job, node):
    names = [f"ccm-sub{number}.branch.voice.example.org" for number in (1, 2)]
    moved = {"bytes_announced": 2000, "bytes_received": 1000, "files_announced": 4}
    one = job(*(node(name, **moved) for name in names))
    for width in (100, 80, 65, 62):
        shown = frame(one, width)[2:4]
        assert [line.split()[0] for line in shown] == names
        assert "1.0/2.0 kB" in shown[0]
    assert ["━" in frame(one, width)[2] for width in (100, 80, 65)] == [True, False, False]


def test_names_that_do_not_fit_can_still_be_told_apart(frame, job, node):
    one = job(*(node(f"call-manager-{number}.branch.voice.example.org") for number in (1, 2)))
    for width in (50, 40, 30, 25):
        first, second = frame(one, width)[2:4]
        assert "…" in first
        assert "transfer" in first
        assert first.split()[0] != second.split()[0]


def test_an_address_among_the_names_does_not_make_them_the_same(frame, job, node):
    names = [f"ccm-{city}-sub{n}.example.org" for city in ("berlin", "bern") for n in (1, 2)]
    one = job(*(node(name) for name in (*names, "192.0.2.7")))
    for width in (60, 50, 40, 30):
        shown = frame(one, width)[2:]
        assert len({line.split()[0] for line in shown}) == 5
        assert all("transfer" in line for line in shown)


def test_what_is_cut_on_an_ascii_terminal_has_a_sign_of_ascii(frame, job, node):
    one = job(node("call-manager-1.branch.voice.example.org", "failed", error="it failed " * 9))
    line = frame(one, 60, ascii_only=True)[2]
    assert line.isascii()
    assert line.endswith("~")
    assert len(line) == 60


@given(STATUSES, st.integers(1, 40))
def test_what_matters_most_gets_the_lines_there_are(statuses, space):
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
def test_every_picture_fits_its_terminal(width, height, nodes):
    from datetime import UTC, datetime

    began = datetime(2026, 3, 1, tzinfo=UTC)
    made = tuple(
        Node(
            *(name, status, name, 1, name, None, (name,), began, None),
            *(12345, 10**12, 12344, 123_456_789),
        )
        for name, status in nodes
    )
    lines = Frame(make_job(*(made or [make_node()])), Rates(), 0.0, began, width).lines(height)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert all(line.plain.isprintable() for line in lines)


def test_equal_failures_hide_no_node_that_runs(frame, job, node):
    refused = [node(f"f{n}", "failed", error=f"f{n} refused the login") for n in range(30)]
    lines = frame(job(*refused, *(node(f"r{n}") for n in range(10))))
    assert lines[2] == "f0  failed    and 29 more: refused the login"
    assert [line.split()[0] for line in lines[3:]] == [f"r{n}" for n in range(10)]


def test_equal_failures_have_a_line_each_where_all_nodes_have_one(frame, job, node):
    refused = [node(f"f{n}", "failed", error="refused") for n in range(3)]
    assert len(frame(job(*refused))) == 5


def test_nodes_without_a_line_are_all_counted(frame, job, node):
    refused = [node(f"f{n}", "failed", error=f"reason {n // 2}") for n in range(40)]
    assert frame(job(*refused), height=9)[-1] == "and 32 more: 32 failed"
