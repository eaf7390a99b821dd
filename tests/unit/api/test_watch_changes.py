"""`Watch` with `changes` gives the nodes that differ, and not the whole job again."""

from collections.abc import AsyncGenerator
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
from cucmd.cases.coverage import Coverage
from cucmd.job.job import End, Job
from cucmd.job.node import Phase
from cucmd.jobs.deletion import Deletions
from cucmd.protocol.jobs import Job as ShownJob
from cucmd.protocol.jobs import JobChange
from cucmd.protocol.requests import WatchRequest
from cucmd.varlink import Caller, StreamReply, VarlinkError
from rig.in_process import InProcess
from rig.supervised import SupervisorHarness, hang, supervisor_harness

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)


def jobs(harness: SupervisorHarness) -> JobMethods:
    return JobMethods(harness.supervisor, harness.feed, planner=lambda: None)


def watch(harness: SupervisorHarness, job_id: str | None) -> aclosing:
    request = WatchRequest(job_id, changes=True)
    return aclosing(jobs(harness).watch(CALLER, request))


async def test_change_has_differing_nodes(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
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


async def test_watch_of_all_begins_with_unfinished(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
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


class Watched:
    """A watch of all jobs: its changes, without figures."""

    def __init__(self, replies: AsyncGenerator[StreamReply, None]) -> None:
        self._replies = replies
        self._known: dict[str, int] = {}
        self._closed: set[str] = set()

    async def next(self) -> JobChange | ShownJob:
        """Reads the next change; once a job is closed, its revisions are those that follow each
        other.

        While it runs, states that follow each other during a save are one change.
        """
        with trio.fail_after(10):
            while True:
                reply = (await anext(self._replies)).parameters
                change = reply.change or reply.job
                if change is None:  # the first reply
                    continue
                before = self._known.get(change.job_id, change.revision - 1)
                self._known[change.job_id] = change.revision
                if change.revision == before:
                    continue
                assert change.revision > before
                if change.job_id in self._closed:
                    assert change.revision == before + 1, "a change is missing"
                if change.closed:
                    self._closed.add(change.job_id)
                return change


def save_slowly(harness: SupervisorHarness) -> None:
    """Saves each state once nothing else happens: the states that follow it come meanwhile."""
    save = harness.store.save

    async def late(before: Job, after: Job) -> None:
        await trio.testing.wait_all_tasks_blocked()
        await save(before, after)

    harness.store.save = late


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("changes", [True, False])
async def test_changes_after_the_end_are_sent(tmp_path: Path, changes: bool, slow: bool) -> None:
    async with supervisor_harness(tmp_path) as harness:
        if slow:
            save_slowly(harness)
        supervisor, store = harness.supervisor, harness.store
        deletions = Deletions(supervisor, store)
        request = WatchRequest(changes=changes)
        async with aclosing(jobs(harness).watch(CALLER, request)) as replies:
            watched = Watched(replies)
            await anext(replies)
            job_id = await harness.start("a")
            while not (change := await watched.next()).closed:
                pass

            await supervisor.relabel(job_id, lambda job: replace(job, labels={"case": "1"}))
            assert (await watched.next()).labels == {"case": "1"}

            async with trio.open_nursery() as nursery:
                coverage = Coverage(store, supervisor.directory, InProcess())
                nursery.start_soon(coverage.run)
                coverage.want(job_id)
                change = await watched.next()
                nursery.cancel_scope.cancel()
            assert [node.node for node in change.nodes] == ["a"]
            assert (await supervisor.find(job_id)).nodes[0].coverage is not None

            await deletions.delete(job_id, record=False)
            change = await watched.next()
            assert (change.files_deleted, change.deleted) == (True, None)
            assert change.revision == (await supervisor.find(job_id)).revision

            await deletions.delete(job_id, record=True)
            change = await watched.next()
            assert (change.job_id, change.files_deleted, change.deleted) == (job_id, True, True)

            with pytest.raises(VarlinkError) as refused:
                async with watch(harness, job_id) as gone:
                    await anext(gone)
            assert refused.value.name == "io.cucmd.Jobs.JobNotFound"


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
        return job.replace_node(position, node.enter(Phase.TRANSFER), NOW)
    return job.replace_node(position, node.cancel(NOW), NOW)
