"""What the agent writes into its bucket, and how often, when NATS loses or refuses something."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractContextManager,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
import trio
from msgspec.structs import replace

from cucmctl.client import errors
from cucmctl.text.render import summary
from cucmd.job.coverage import LogCoverage
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Commands, Login, Timeouts
from cucmd.plan.labels import LONGEST_VALUE, MOST, check_labels
from cucmd.protocol.jobs import Job, ListReply, Node, WatchReply
from cucmd.protocol.knowledge import Cluster
from cucmfleet.agent import Agent
from cucmfleet.jetstream import WRONG_SEQUENCE, Last, NoAnswer, Refused
from cucmfleet.messages import HEARTBEAT, LARGEST_STATE, Command, PartState, SiteState, decode_state

NOW = datetime.now(UTC)
NODE = Node("a", "running", None, 1, None, None, (), NOW, None, None, None, 0, 0)
SITE = SiteState("berlin").subject
LOST = "the hub has lost the states"


def job(number: int, revision: int = 1, status: str = "succeeded", node: Node = NODE) -> Job:
    closed = status == "succeeded"
    fields = Collection(), Timeouts(), 8, True, 0, (replace(node, files_received=revision),)
    hub = {"hub": f"{number:012x}"}
    times = NOW, NOW, NOW if closed else None
    return Job(
        *(f"local{number}", status, False, closed, revision, "run", *times, "/x"),
        *fields,
        labels=hub,
    )


def part(number: int) -> str:
    return PartState("berlin", f"{number:012x}").subject


class Bucket:
    """Stands for JetStream: keeps the last message of each subject, and hands out commands.

    most       keys that it can hold; then it drops the oldest ones
    requests   how many there were
    no_answer  how many of the next requests to publish get no answer
    behind     subjects of which the next answer comes from a server that has no message yet
    """

    def __init__(self) -> None:
        self.most = self.size = 10**6
        self.number = self.requests = self.no_answer = 0
        self.kept: dict[str, tuple[int, bytes]] = {}
        self.send, self.commands = trio.open_memory_channel[bytes](10)
        self.acknowledged = 0
        self.has_several_servers = False
        self.behind: set[str] = set()

    def lose(self) -> None:
        self.kept.clear()
        self.number = 0

    def state(self, subject: str) -> object:
        return decode_state(subject, self.kept.get(subject, (0, b""))[1])

    async def until_connected(self) -> None:
        await trio.lowlevel.checkpoint()

    async def last(self, _stream: str, subject: str) -> Last:
        await self._answer()
        nothing = 0, b""
        if subject in self.behind:
            self.behind.remove(subject)
            return Last(*nothing, NOW)
        return Last(*self.kept.get(subject, nothing), NOW)

    async def publish(self, subject: str, data: bytes, *, after: int) -> int:
        await self._answer()
        if self.no_answer:
            self.no_answer -= 1
            raise NoAnswer("cut off")
        if self.kept.get(subject, (0, b""))[0] != after:
            raise Refused(WRONG_SEQUENCE, "wrong last sequence")
        if len(data) > 2**16:
            raise Refused(10054, "message size exceeds maximum allowed")
        self.number += 1
        self.kept.pop(subject, None)
        self.kept[subject] = self.number, data
        if len(self.kept) > self.most:
            del self.kept[next(iter(self.kept))]
        return self.number

    async def _answer(self) -> None:
        self.requests += 1
        await trio.sleep(0.01)

    @asynccontextmanager
    async def pull(self, _stream: str, _consumer: str) -> AsyncIterator[object]:
        async def receive() -> object:
            return SimpleNamespace(data=await self.commands.receive())

        yield receive

    async def acknowledge(self, _message: object) -> None:
        self.acknowledged += 1


class Daemon:
    """Stands for the client of the daemon: lists jobs, sends changes, and refuses every start."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.known: tuple[Cluster, ...] = ()
        self.refused: list[str] = []
        self.changes, self._events = trio.open_memory_channel[Job](10_000)

    def change(self, new: Job) -> None:
        self.jobs[new.job_id] = new
        self.changes.send_nowait(new)

    async def status(self, job_id: str) -> Job:
        await trio.lowlevel.checkpoint()
        if job_id not in self.jobs:
            raise errors.JobNotFound.make(job_id)
        return self.jobs[job_id]

    async def list(self, *, limit: int = 1000, before: str | None = None, labels: object = None):
        await trio.lowlevel.checkpoint()
        found = [] if labels else [*reversed(self.jobs.values())]
        ids = [one.job_id for one in found]
        first = 0 if before is None else ids.index(before) + 1
        return [summary(one) for one in found[first : first + limit]]

    async def clusters(self, name: str | None = None) -> tuple[Cluster, ...]:
        await trio.lowlevel.checkpoint()
        return self.known

    def on_behalf_of(self, _caller: object) -> "Daemon":
        return self

    async def call(self, method: str, *_call: object) -> None:
        await trio.lowlevel.checkpoint()
        self.refused.append(method)
        raise errors.InvalidRequest.make("login", "no such credential")

    # What `events` needs.

    async def ask(self, _call: object) -> ListReply:
        return ListReply(tuple(await self.list()))

    def limit(self, _until: object = None) -> AbstractContextManager[None]:
        return nullcontext()

    @asynccontextmanager
    async def items(self, _call: object) -> AsyncIterator[AsyncIterator[WatchReply]]:
        async with aclosing(self._replies()) as replies:
            yield replies

    async def _replies(self) -> AsyncIterator[WatchReply]:
        running = [one for one in self.jobs.values() if not one.closed]
        yield WatchReply(0, 0, jobs=tuple(map(summary, running)))
        async for new in self._events:
            yield WatchReply(1, 0, job=new)


class Running(SimpleNamespace):
    """Holds an agent that runs, its daemon and its bucket."""

    agent: Agent
    daemon: Daemon
    bucket: Bucket

    async def settle(self, seconds: float = 5) -> None:
        await trio.sleep(seconds)

    async def run(self, *jobs: Job) -> None:
        for one in jobs:
            self.daemon.change(one)
        await self.settle()


@pytest.fixture
def parts() -> Running:
    bucket, daemon = Bucket(), Daemon()
    uploads = SimpleNamespace(look_at=lambda _job: None, targets={})
    agent = Agent("berlin", bucket, daemon, uploads)
    return Running(agent=agent, daemon=daemon, bucket=bucket)


@asynccontextmanager
async def running(parts: Running) -> AsyncIterator[Running]:
    async with trio.open_nursery() as nursery:
        for task in (parts.agent.obey, parts.agent.report_site, parts.agent.report_jobs):
            nursery.start_soon(task)
        await parts.settle()
        yield parts
        nursery.cancel_scope.cancel()


@contextmanager
def few_requests(bucket: Bucket, most: int) -> Iterator[None]:
    before = bucket.requests
    yield
    assert bucket.requests - before <= most


async def test_full_bucket_is_not_lost(
    parts: Running, caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    parts.bucket.most = 5
    async with running(parts) as site:
        await site.run(job(1, status="running"))
        await site.run(job(2), job(3), job(4))
        assert part(1) not in site.bucket.kept
        with few_requests(site.bucket, 8):
            await site.run(job(1, 2, status="running"))
        assert site.bucket.state(part(1)).job.revision == 2
    assert LOST not in caplog.text


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("after", [0, 9])
async def test_lost_bucket_is_filled(
    parts: Running, autojump_clock: object, before: int, after: int
) -> None:
    """Also if its numbers grow beyond those of the lost one before the site is reported."""
    parts.daemon.jobs = {one.job_id: one for one in map(job, range(before))}
    async with running(parts) as site:
        site.bucket.lose()
        for number in range(after):
            site.daemon.change(job(100 + number))
        await site.settle(3 * HEARTBEAT)
        wanted = [*range(before), *range(100, 100 + after)]
        assert all(site.bucket.state(part(number)) for number in wanted)
        with few_requests(site.bucket, 4):
            await site.settle(3 * HEARTBEAT)


async def test_error_repeats_one_report(parts: Running, autojump_clock: object) -> None:
    parts.daemon.jobs = {one.job_id: one for one in map(job, range(300))}
    async with running(parts) as site:
        await site.settle(30)
        for number in (500, 501):
            site.bucket.no_answer = 1
            with few_requests(site.bucket, 15):
                await site.run(job(number))
            assert site.bucket.state(part(number)).job.closed


async def test_deleted_job_is_asked_for_once(parts: Running, autojump_clock: object) -> None:
    async with running(parts) as site:
        with few_requests(site.bucket, 25):
            site.daemon.changes.send_nowait(job(1))
            await site.settle(100)


async def test_large_state_holds_up_nothing(parts: Running, autojump_clock: object) -> None:
    large = replace(NODE, product="x" * LARGEST_STATE)
    async with running(parts) as site:
        await site.run(job(1, node=large), job(2))
        assert site.bucket.state(part(2)).job.closed


async def test_end_of_large_job_is_reported(parts: Running, autojump_clock: object) -> None:
    node = replace(NODE, logs=(LogCoverage("x" * LARGEST_STATE),))
    paths = tuple(f"cm/trace/{number:0600}" for number in range(100))
    longest = {f"{n:063}": "\N{GOTHIC LETTER AHSA}" * LONGEST_VALUE for n in range(MOST - 1)}
    large = job(1, node=node)
    labels = check_labels(longest | (large.labels or {}))
    large = replace(large, collection=Collection(paths=paths), labels=labels)
    async with running(parts) as site:
        await site.run(large)
        assert site.bucket.state(part(1)).job.closed
        assert site.bucket.state(part(1)).job.labels == labels
        at = f"$KV.state_berlin.node.{1:012x}.0"
        assert site.bucket.state(at).node == replace(node, logs=None, files_received=1)


async def test_site_with_many_clusters_is_heard(parts: Running, autojump_clock: object) -> None:
    parts.daemon.known = (Cluster(1, 1, "x" * LARGEST_STATE),)
    async with running(parts) as site:
        await site.settle()
        assert site.bucket.state(SITE) == SiteState("berlin")


async def test_lost_refusal_is_written_again(parts: Running, autojump_clock: object) -> None:
    start = StartRequest(("a",), Login(credential="no"), commands=Commands(("show status",)))
    command = msgspec.json.encode(Command(1, "berlin", f"{1:012x}", "root", start=start))
    async with running(parts) as site:
        for wait in (1, 1, 3 * HEARTBEAT):  # before and after the loss is noticed
            await site.bucket.send.send(command)
            await site.settle(1)
            assert site.bucket.state(part(1)).failure.code == "refused_at_site"
            site.bucket.lose()
            await site.settle(wait)
        assert site.bucket.acknowledged == 3


async def test_server_that_is_behind_starts_nothing(parts: Running, autojump_clock: object) -> None:
    """A cancel has overtaken the start, and one of three servers does not know that yet."""
    cancelled = PartState("berlin", f"{1:012x}", done=2)
    start = StartRequest(("a",), Login(credential="no"), commands=Commands(("show status",)))
    command = Command(1, "berlin", f"{1:012x}", "root", start=start)
    parts.bucket.has_several_servers = True
    await parts.bucket.publish(part(1), msgspec.json.encode(cancelled), after=0)
    parts.bucket.behind.add(part(1))
    async with running(parts) as site:
        await site.bucket.send.send(msgspec.json.encode(command))
        await site.settle()
        assert site.bucket.acknowledged == 1
        assert site.bucket.state(part(1)) == cancelled
        assert site.daemon.refused == []


async def test_command_that_comes_twice_leaves_nothing(
    parts: Running, autojump_clock: object
) -> None:
    start = StartRequest(("a",), Login(credential="no"), commands=Commands(("show status",)))
    command = msgspec.json.encode(Command(1, "berlin", f"{1:012x}", "root", start=start))
    async with running(parts) as site:
        for acknowledged in (1, 2):
            await site.bucket.send.send(command)
            await site.settle(1)
            assert site.bucket.acknowledged == acknowledged
            assert part(1) not in site.agent._known


@pytest.mark.parametrize("first", [0, 1])
async def test_two_agents_lose_nothing_of_each_other(
    parts: Running, autojump_clock: object, first: int
) -> None:
    """One has reported a newer job, and the other what came of a command."""
    newer = replace(job(1, revision=9), nodes=())
    old = PartState("berlin", f"{1:012x}", 1, replace(newer, revision=8))
    states = replace(old, job=newer), replace(old, done=2)
    await parts.bucket.publish(part(1), msgspec.json.encode(states[first]), after=0)
    await parts.agent._write(states[1 - first])
    assert parts.bucket.state(part(1)) == replace(old, job=newer, done=2)


async def test_memory_stays_small(
    parts: Running, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with running(parts) as site:
        await site.run(*map(job, range(300)))
        await site.settle(60)
        assert len(site.agent._known) < 10 < 600 < len(site.bucket.kept)
