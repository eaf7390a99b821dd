"""`Watch`: the numbers of changes, what each has, and what a slow watcher gets."""

import gc
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cucmd.api.job_methods import JobMethods
from cucmd.api.wire import changed_to_wire, job_to_wire
from cucmd.job.job import End, Job
from cucmd.job.node import Phase
from cucmd.jobs.deletion import Deletions
from cucmd.jobs.job_feed import CAPACITY, Subscription
from cucmd.protocol.jobs import JobChange
from cucmd.protocol.requests import WatchRequest
from cucmd.varlink import Caller, VarlinkError
from rig.supervised import SupervisorHarness, hang, supervisor_harness

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)


def jobs(harness: SupervisorHarness) -> JobMethods:
    return JobMethods(harness.supervisor, harness.feed, planner=lambda: None)


def watch(harness: SupervisorHarness, job_id: str | None) -> aclosing:
    request = WatchRequest(job_id, changes=True)
    return aclosing(jobs(harness).watch(CALLER, request))


async def test_change_has_differing_nodes(harness: SupervisorHarness) -> None:
    harness.behaviours = {"a": hang, "b": hang, "c": hang}
    job_id = await harness.start("a", "b", "c")
    await harness.running(job_id, nodes=3)
    async with watch(harness, job_id) as replies:
        first = (await anext(replies)).parameters
        assert [node.node for node in first.job.nodes] == ["a", "b", "c"]
        await harness.supervisor.cancel(job_id, ["b"])
        change = (await anext(replies)).parameters
        assert (change.job, change.sequence) == (None, 1)
        assert [(one.node, one.status) for one in change.change.nodes] == [("b", "cancelled")]
        assert change.change.revision > first.job.revision
        await harness.supervisor.cancel(job_id, None)
        last = [reply async for reply in replies][-1]
        assert (last.continues, last.parameters.change.status) == (False, "cancelled")


async def test_watch_of_all_begins_with_unfinished(harness: SupervisorHarness) -> None:
    harness.behaviours = {"slow": hang}
    ended = [await harness.start("a") for _ in range(25)]
    for job_id in ended:
        await harness.ended(job_id)
    running = [await harness.start("slow") for _ in range(25)]
    async with watch(harness, None) as replies:
        first = (await anext(replies)).parameters
        assert {job.job_id for job in first.jobs} == set(running)
        await harness.supervisor.cancel(running[0], None)
        while True:
            change = (await anext(replies)).parameters.change
            if change.job_id == running[0] and change.status == "cancelled":
                break
        assert [node.node for node in change.nodes] == ["slow"]
    for job_id in running:
        await harness.supervisor.cancel(job_id, None)


async def test_change_of_closed_job_has_all_nodes(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        ended = harness.job("a", "b").cancel(NOW)
        closed = ended.with_end(End.CLOSED)
        covered = replace(closed, nodes=(replace(closed.nodes[0], coverage="all"), closed.nodes[1]))
        async with watch(harness, None) as replies:
            await anext(replies)
            for job in (ended, closed, covered):
                harness.feed.publish(job)
            changes = [(await anext(replies)).parameters.change for _ in range(3)]
    assert [[node.node for node in change.nodes] for change in changes] == [
        ["a", "b"],
        [],
        ["a", "b"],
    ]


async def test_retry_change_has_retried_nodes(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        ended = harness.job("a", "b").cancel(NOW)
        again = ended.retry(frozenset({1}))
        async with watch(harness, None) as replies:
            await anext(replies)
            for job in (ended, again, again.begin(NOW), again.cancel(NOW), ended):
                harness.feed.publish(job)
            changes = [(await anext(replies)).parameters.change for _ in range(5)]
    assert [[node.node for node in change.nodes] for change in changes] == [
        ["a", "b"],
        ["b"],
        [],
        ["b"],
        ["b"],
    ]


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("of_all", [False, True])
async def test_slow_watcher_gets_state_again(
    harness: SupervisorHarness, of_all: bool, changes: bool
) -> None:
    harness.behaviours = {"a": hang}
    job_id = await harness.start("a")
    job = await harness.running(job_id)
    request = WatchRequest(None if of_all else job_id, changes)
    async with aclosing(jobs(harness).watch(CALLER, request)) as replies:
        assert (await anext(replies)).parameters.sequence == 0
        harness.feed.publish(job)
        assert (await anext(replies)).parameters.sequence == 1
        for _ in range(CAPACITY + 5):
            harness.feed.publish(job)
        reply = (await anext(replies)).parameters
        assert (reply.sequence, reply.missed, reply.change) == (CAPACITY + 6, CAPACITY + 5, None)
        assert (reply.jobs if of_all else reply.job) is not None
    await harness.supervisor.cancel(job_id, None)


async def test_watch_ends_despite_missed_end(harness: SupervisorHarness) -> None:
    harness.behaviours = {"a": hang}
    job_id = await harness.start("a")
    job = await harness.running(job_id)
    async with watch(harness, job_id) as replies:
        await anext(replies)
        for _ in range(CAPACITY + 5):
            harness.feed.publish(job)
        await harness.supervisor.cancel(job_id, None)
        await harness.ended(job_id)
        last = [reply async for reply in replies][-1]
    assert (last.continues, last.parameters.job.status) == (False, "cancelled")
    async with watch(harness, job_id) as replies:
        assert [reply.continues async for reply in replies] == [False]
    gc.collect()
    assert not any(isinstance(one, Subscription) for one in gc.get_objects())


STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["begin", "phase", "end"])))


@given(STEPS)
def test_changes_add_up_to_job(steps: list[tuple[int, str]]) -> None:
    harness = SupervisorHarness.__new__(SupervisorHarness)
    harness.numbers = 0
    job = harness.job("a", "b", "c", "d").begin(NOW)
    known = {node.node: node for node in job_to_wire(job, Path("x")).nodes}
    for position, what in steps:
        before, job = job, _after(job, position, what)
        known |= {node.node: node for node in changed_to_wire(before, job, None).nodes}
    assert tuple(known.values()) == job_to_wire(job, Path("x")).nodes


def _after(job: Job, position: int, what: str) -> Job:
    node = job.nodes[position]
    if node.settled or job.ended:
        return job
    if what == "begin":
        return job.replace_node(position, node.begin(NOW, node.attempt + 1), NOW)
    if what == "phase" and node.status == "running":
        return job.replace_node(position, node.enter(Phase.TRANSFER, NOW), NOW)
    return job.replace_node(position, node.cancel(NOW), NOW)


async def test_changes_after_the_end_are_sent(harness: SupervisorHarness) -> None:
    supervisor, deletions = harness.supervisor, Deletions(harness.supervisor, harness.store)
    async with watch(harness, None) as replies:

        async def until(reached: Callable[[JobChange], bool]) -> JobChange:
            with trio.fail_after(10):
                async for reply in replies:
                    change = reply.parameters.change
                    if change is not None and reached(change):
                        return change
            raise AssertionError

        job_id = await harness.start("a")
        await until(lambda change: change.closed)
        await supervisor.relabel(job_id, lambda job: replace(job, labels={"case": "1"}))
        await until(lambda change: change.labels == {"case": "1"})
        await deletions.delete(job_id, record=False)
        change = await until(lambda change: bool(change.files_deleted))
        assert (change.deleted, change.revision) == (
            None,
            (await supervisor.find(job_id)).revision,
        )
        await deletions.delete(job_id, record=True)
        await until(lambda change: bool(change.deleted))
    with pytest.raises(VarlinkError, match="JobNotFound"):
        async with watch(harness, job_id) as gone:
            await anext(gone)
