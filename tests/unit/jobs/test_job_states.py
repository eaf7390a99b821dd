"""The states of jobs and nodes: what may follow what, and how a job ends."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.failure import Code, failure
from cucmd.job.attempt import MOST_EARLIER, MOST_MESSAGE, MOST_PHASES, EarlierAttempt, PhaseBegun
from cucmd.job.collect import Collect
from cucmd.job.job import End, Job, Outcome, outcome
from cucmd.job.node import ImpossibleTransition, Node, Phase
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_errors import UnknownNode, position_of

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
LOST = failure(Code.CONNECTION_LOST, "the node closed the connection")


def job(*nodes: Node) -> Job:
    return Job("0a1b2c3d4e5f", NOW, Collect(("syslog/messages*",)), Timeouts(), 8, nodes)


def running(name: str) -> Node:
    return Node(name).begin(NOW, 1)


def test_node_succeeds() -> None:
    node = running("a").enter(Phase.TRANSFER, LATER).succeed(LATER, ("a note",))
    assert (node.status, node.attempt, node.notes) == ("succeeded", 1, ("a note",))
    assert node.state.started_at == NOW
    assert node.state.completed_at == LATER


@pytest.mark.parametrize(
    "settled",
    [running("a").succeed(NOW), Node("a").fail(NOW, LOST), Node("a").cancel(NOW)],
    ids=lambda node: node.status,
)
@pytest.mark.parametrize(
    "change",
    [
        lambda node: node.begin(LATER, 2),
        lambda node: node.enter(Phase.TRANSFER, LATER),
        lambda node: node.succeed(LATER),
        lambda node: node.fail(LATER, LOST),
        lambda node: node.cancel(LATER),
    ],
    ids=["begin", "enter", "succeed", "fail", "cancel"],
)
def test_settled_node_does_not_change(settled: Node, change) -> None:
    with pytest.raises(ImpossibleTransition):
        change(settled)


def test_cancel_ends_unsettled_nodes() -> None:
    before = job(running("a").succeed(NOW), running("b"), Node("c")).begin(NOW)
    after = before.cancel(LATER)
    assert [node.status for node in after.nodes] == ["succeeded", "cancelled", "cancelled"]
    assert (after.status, after.cancelled) == ("partial", True)
    assert after.state.completed_at == LATER


def test_cancel_is_idempotent() -> None:
    ended = (
        job(running("a").succeed(NOW)).begin(NOW).replace_node(0, running("a").succeed(NOW), NOW)
    )
    assert ended.status == "succeeded"
    assert ended.cancel(LATER) is ended
    cancelled = job(Node("a")).cancel(NOW)
    assert cancelled.cancel(LATER) is cancelled


def test_cancel_some_nodes() -> None:
    after = job(running("a"), running("b")).begin(NOW).cancel(LATER, frozenset({1}))
    assert [node.status for node in after.nodes] == ["running", "cancelled"]
    assert (after.status, after.cancelled) == ("running", False)


def test_job_ends_with_last_node() -> None:
    one = job(running("a"), running("b")).begin(NOW).replace_node(0, running("a").succeed(NOW), NOW)
    assert one.status == "running"
    two = one.replace_node(1, running("b").fail(LATER, LOST), LATER)
    assert (two.status, two.state.completed_at) == ("partial", LATER)


def test_retry_keeps_earlier_attempts() -> None:
    timeout = failure(Code.LOGIN_TIMEOUT, "x" * (MOST_MESSAGE + 1))
    node = running("a").enter(Phase.LOGIN, LATER).fail(LATER, timeout).retry(1)
    node = node.begin(LATER, 2).cancel(LATER).retry(2)
    assert node.earlier == (
        EarlierAttempt(1, LATER, "login", "login_timeout", "x" * MOST_MESSAGE, NOW),
        EarlierAttempt(2, LATER, "connect", started_at=LATER),
    )


def test_phases_have_their_beginnings() -> None:
    node = running("a").enter(Phase.LOGIN, LATER).enter(Phase.LOGIN, LATER + timedelta(1))
    node = node.enter(Phase.PREPARE, NOW)  # the clock was set back
    begun = [(one.phase, one.began_at) for one in node.phases]
    assert begun == [("connect", NOW), ("login", LATER), ("prepare", LATER)]
    assert node.succeed(LATER).phases == node.phases
    again = node.queue_again().begin(LATER, 2)
    assert again.phases == (PhaseBegun("connect", LATER),)


def test_phases_are_limited() -> None:
    node = running("a")
    for number in range(MOST_PHASES):
        node = node.enter((Phase.COMMAND, Phase.TRANSFER)[number % 2], LATER)
    node = node.enter(Phase.CLOSE, LATER + timedelta(hours=1))
    assert len(node.phases) == MOST_PHASES
    assert node.phases[-1] == PhaseBegun("close", LATER + timedelta(hours=1))


def test_only_last_attempts_are_kept() -> None:
    node = Node("a")
    for number in range(1, MOST_EARLIER + 3):
        node = node.begin(NOW, number).fail(NOW, LOST).retry(number)
    assert [one.attempt for one in node.earlier] == list(range(3, MOST_EARLIER + 3))


def test_restart_keeps_start_times() -> None:
    before = job(running("a").begin(NOW, 1), Node("b")).begin(NOW)
    waiting = before.resume()
    assert waiting.started_at == NOW
    again = waiting.begin(LATER).replace_node(0, waiting.nodes[0].begin(LATER, 2), LATER)
    assert again.started_at == NOW
    assert [node.state.started_at for node in again.nodes] == [NOW, None]
    ended = again.resume().cancel(LATER)
    assert [node.state.started_at for node in ended.nodes] == [NOW, None]
    assert ended.started_at == NOW


def test_clock_set_back() -> None:
    earlier = NOW - timedelta(hours=1)
    nodes = (
        running("a").succeed(earlier),
        running("b").fail(earlier, LOST),
        running("c").cancel(earlier),
    )
    assert [node.state.completed_at for node in nodes] == [NOW] * 3
    ended = job(*nodes[:2], running("c")).begin(earlier).replace_node(2, nodes[2], earlier)
    assert (ended.started_at, ended.state.completed_at) == (NOW, NOW)
    ahead = NOW + timedelta(hours=1)
    last = job(running("a").succeed(ahead), running("b")).begin(NOW)
    assert last.replace_node(1, running("b").succeed(LATER), LATER).state.completed_at == ahead
    never_begun = job(Node("a")).cancel(earlier)
    assert never_begun.state.completed_at == NOW


STATES = {
    "succeeded": running("x").succeed(NOW),
    "failed": Node("x").fail(NOW, LOST),
    "cancelled": Node("x").cancel(NOW),
}


@given(st.lists(st.sampled_from(sorted(STATES)), min_size=1, max_size=6), st.booleans())
def test_outcome(names: list[str], cancelled: bool) -> None:
    result = outcome(tuple(STATES[name] for name in names), cancelled=cancelled)
    if set(names) == {"succeeded"}:
        assert result is Outcome.SUCCEEDED
    elif "succeeded" in names:
        assert result is Outcome.PARTIAL
    elif cancelled or set(names) == {"cancelled"}:
        assert result is Outcome.CANCELLED
    else:
        assert result is Outcome.FAILED


def test_steps_of_the_end() -> None:
    ended = job(Node("a")).cancel(LATER)
    told = [(ended.with_end(end).closed, ended.with_end(end).files_deleted) for end in End]
    assert told == [(False, False), (True, False), (True, True), (True, True)]
    again = ended.with_end(End.CLOSED).retry(frozenset({0}))
    assert (again.end, again.closed) == (End.OPEN, False)
    with pytest.raises(ImpossibleTransition):
        again.with_end(End.CLOSED)


def test_retry_keeps_first_start_and_duration() -> None:
    second = timedelta(seconds=1)
    tried = job(Node("a"))
    for begun in (NOW, NOW + 10 * second, NOW + 20 * second):
        tried = tried.begin(begun).cancel(begun + 2 * second).retry(frozenset({0}))
    assert (tried.first_started_at, tried.ran_before) == (NOW, 6.0)
    never = job(Node("a")).cancel(LATER).retry(frozenset({0}))
    assert (never.first_started_at, never.ran_before) == (None, 0.0)


def test_position_of() -> None:
    several = job(*map(Node, ("a", "b:22", "a:2022", "c:1", "c:2", "[::1]:22")))
    wanted = {"a": 0, "b": 1, "c:2": 4, "[::1]": 5}
    assert {name: position_of(several, name) for name in wanted} == wanted
    for name in ("c", "", "x"):
        with pytest.raises(UnknownNode):
            position_of(several, name)


def test_position_of_names() -> None:
    names = {"10.0.0.1": "sub", "10.0.0.2": "b+10.0.0.2", "b:22": None, "10.0.0.3": "b+10.0.0.3"}
    several = job(*(Node(node, name=name) for node, name in names.items()))
    wanted = {"sub": 0, "SUB": 0, "b+10.0.0.2": 1, "b": 2}
    assert {name: position_of(several, name) for name in wanted} == wanted


def test_host_name_of_several_nodes() -> None:
    several = job(Node("10.0.0.1", name="b+10.0.0.1"), Node("10.0.0.2", name="b+10.0.0.2"))
    with pytest.raises(UnknownNode) as caught:
        position_of(several, "b")
    assert caught.value.candidates == ("b+10.0.0.1", "b+10.0.0.2")


def test_job_survives_encoding() -> None:
    before = job(running("a").succeed(NOW), Node("b").fail(NOW, LOST), Node("c")).begin(NOW)
    assert msgspec.json.decode(msgspec.json.encode(before), type=Job) == before


@pytest.mark.parametrize(
    ("timeouts", "field"),
    [
        (Timeouts(connect=0), "connect"),
        (Timeouts(stall=-1), "stall"),
        (Timeouts(node=float("nan")), "node"),
        (Timeouts(job=float("inf")), "job"),
        (Timeouts(connect=30, command=29), "command"),
    ],
)
def test_wrong_timeouts(timeouts: Timeouts, field: str) -> None:
    problem = timeouts.problem()
    assert problem is not None
    assert problem[0] == field


def test_grace_is_shorter_than_systemd_timeout() -> None:
    assert Timeouts(grace=45).problem() is None
    name, reason = Timeouts(grace=46).problem() or ("", "")
    assert name == "grace"
    assert "45 s" in reason
