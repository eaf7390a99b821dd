"""`Jobs.watch`: the numbers of states and changes, and what a slow watcher gets."""

import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from cucmd.api.job_methods import JobMethods
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_feed import CAPACITY, JobFeed, Subscription
from cucmd.protocol.requests import WatchRequest
from cucmd.store import EVERY_JOB, JobFilter
from cucmd.varlink import Caller, StreamReply

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
JOB_ID = "0a1b2c3d4e5f"
TOO_MANY = CAPACITY + 5
Replies = AsyncIterator[StreamReply]
BOTH = pytest.mark.parametrize("watched", [JOB_ID, None], ids=["one job", "all jobs"])


class ScriptedJob:
    """One job on one node, and the `Jobs` that a watcher asks. Each change is one byte received."""

    def __init__(self) -> None:
        self.feed = JobFeed()
        self.job = Job(JOB_ID, NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),)).begin(NOW)
        self.jobs = JobMethods(self, self.feed, planner=lambda: None)

    async def find(self, prefix: str) -> Job:
        return self.job

    async def newest(self, limit: int, which: JobFilter = EVERY_JOB) -> list[Job]:
        return [self.job] if which.fits(self.job) else []

    def directory(self, job_id: str) -> Path:
        return Path(job_id)

    def save_error(self, job_id: str) -> str | None:
        return None

    def change(self, times: int = 1) -> None:
        for _ in range(times):
            received = self.node.bytes_received + 1
            self._become(replace(self.node, bytes_received=received))

    def end(self) -> None:
        self._become(self.node.cancel(NOW))

    @property
    def node(self) -> Node:
        return self.job.nodes[0]

    def _become(self, node: Node) -> None:
        self.job = self.job.replace_node(0, node, NOW)
        self.feed.publish(self.job)

    @asynccontextmanager
    async def watch(self, job_id: str | None) -> AsyncIterator[Replies]:
        with trio.fail_after(1):  # of virtual time: a reply that does not come fails the test
            async with aclosing(self.jobs.watch(CALLER, WatchRequest(job_id))) as replies:
                yield replies


@pytest.fixture
def scripted_job(autojump_clock: trio.testing.MockClock) -> ScriptedJob:
    return ScriptedJob()


def numbers(stream: StreamReply) -> tuple[int, int]:
    return stream.parameters.sequence, stream.parameters.missed


def received(stream: StreamReply) -> tuple[list[int], list[int]]:
    """Bytes: of the job that changed, and of the jobs in a state of all."""
    reply = stream.parameters
    changed = [node.bytes_received for node in reply.job.nodes] if reply.job else []
    return changed, [job.bytes_received for job in reply.jobs or ()]


@BOTH
async def test_changes_are_numbered(scripted_job: ScriptedJob, watched: str | None) -> None:
    async with scripted_job.watch(watched) as replies:
        state = await anext(replies)
        scripted_job.change(3)
        changes = [await anext(replies) for _ in range(3)]
    assert [numbers(reply) for reply in (state, *changes)] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert [received(reply) for reply in changes] == [([1], []), ([2], []), ([3], [])]


@BOTH
async def test_slow_watcher_gets_missed_count(
    scripted_job: ScriptedJob, watched: str | None
) -> None:
    async with scripted_job.watch(watched) as replies:
        await anext(replies)
        scripted_job.change(TOO_MANY)
        assert numbers(await anext(replies)) == (TOO_MANY, TOO_MANY)


@pytest.mark.parametrize(
    ("watched", "expected"), [(JOB_ID, ([TOO_MANY], [])), (None, ([], [TOO_MANY]))]
)
async def test_slow_watcher_gets_state_again(
    scripted_job: ScriptedJob, watched: str | None, expected: tuple[list[int], list[int]]
) -> None:
    async with scripted_job.watch(watched) as replies:
        await anext(replies)
        scripted_job.change(TOO_MANY)
        assert received(await anext(replies)) == expected


async def test_watch_ends_despite_missed_end(
    scripted_job: ScriptedJob,
) -> None:
    async with scripted_job.watch(JOB_ID) as replies:
        await anext(replies)
        scripted_job.change(TOO_MANY)
        scripted_job.end()
        last = [reply async for reply in replies]
    assert [(reply.parameters.job.status, numbers(reply)) for reply in last] == [
        ("cancelled", (TOO_MANY + 1, TOO_MANY + 1))
    ]
    assert [reply.continues for reply in last] == [False]


async def test_ended_job_has_one_reply(
    scripted_job: ScriptedJob,
) -> None:
    scripted_job.end()
    async with scripted_job.watch(JOB_ID) as replies:
        assert [reply.continues async for reply in replies] == [False]


@BOTH
async def test_ended_watch_leaves_no_subscription(
    scripted_job: ScriptedJob, watched: str | None
) -> None:
    async with scripted_job.watch(watched) as replies:
        await anext(replies)
    gc.collect()
    assert not any(isinstance(one, Subscription) for one in gc.get_objects())
