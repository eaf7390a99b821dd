"""Runs a supervisor with a real store, over nodes that behave as a test says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import trio

from cucmd.config import Limits
from cucmd.failure import Code, fail
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_feed import JobFeed
from cucmd.jobs.services import JobServices, Locate, Slots
from cucmd.jobs.supervisor import Plan, PlannedJob, PlanRetry, Supervisor, open_supervisor
from cucmd.node.ports import Credentials, NodeTask, Report, Retry
from cucmd.node_name import folder_of
from cucmd.store import Store, StoreFailed, open_store

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
Behaviour = Callable[[NodeTask, Report], Awaitable[tuple[str, ...]]]


class SupervisorHarness:
    """Holds a supervisor. Nodes behave as `behaviours` says; all others succeed at once."""

    def __init__(self, supervisor: Supervisor, services: JobServices, tmp_path: Path) -> None:
        self.supervisor = supervisor
        self.services = services
        self.feed = services.feed
        self.store: Store = services.store
        self.tmp_path = tmp_path
        self.behaviours: dict[str, Behaviour] = {}
        self.contacted: list[str] = []
        self.numbers = 0

    async def work_on_node(self, task: NodeTask, report: Report) -> tuple[str, ...]:
        self.contacted.append(task.node)
        report.attempt(task.first_attempt)
        behaviour = self.behaviours.get(task.node)
        return await behaviour(task, report) if behaviour else ()

    def job(self, *nodes: str, **fields: object) -> Job:
        self.numbers += 1
        values = {
            "job_id": f"{self.numbers:012x}",
            "work": Collect(("syslog",)),
            "concurrency": 8,
            "timeouts": Timeouts(),
            "try_all": True,  # otherwise a node that does not log in holds back the others
            **fields,
        }
        return Job(created_at=NOW, nodes=tuple(Node(node) for node in nodes), **values)

    def tasks(self, job: Job) -> list[NodeTask | None]:
        return [None if node.settled else self.task(job, node) for node in job.nodes]

    def task(self, job: Job, node: Node) -> NodeTask:
        return NodeTask(
            job.job_id,
            node.node,
            node.node,
            22,
            Credentials("administrator", "secret"),
            job.work,
            job.timeouts,
            Retry(attempts=3, base=1, cap=15),
            self.tmp_path / "jobs" / job.job_id / folder_of(node.node, marked=node.marked),
            first_attempt=node.attempt + 1,
        )

    def again(self, *positions: int) -> PlanRetry:
        """Returns a plan to retry the nodes at these positions."""

        async def plan(job: Job) -> PlannedJob:
            await trio.lowlevel.checkpoint()
            after = job.retry(frozenset(positions))
            return after, self.tasks(after)

        return plan

    async def start(self, *nodes: str, **fields: object) -> str:
        job = self.job(*nodes, **fields)
        await self.supervisor.start(planned(job, self.tasks(job)))
        return job.job_id

    async def until(self, job_id: str, reached: Callable[[Job], bool]) -> Job:
        with self.feed.subscribe(job_id) as changes:
            while not reached(job := await self.supervisor.find(job_id)):
                await changes.next()
        return job

    async def running(self, job_id: str, nodes: int = 1) -> Job:
        """Waits until at least `nodes` nodes of the job are running.

        `wait_all_tasks_blocked` is not enough, since a node that waits for a thread is blocked,
        too.
        """
        return await self.until(job_id, lambda job: statuses(job).count("running") >= nodes)

    async def ended(self, job_id: str) -> Job:
        return await self.until(job_id, lambda job: job.ended)

    async def closed(self) -> tuple[str, ...]:
        """Waits until no job is live. Returns the jobs whose files are not recorded."""
        for job in await self.supervisor.newest(1000):
            if (run := self.supervisor.run_of(job.job_id)) is not None:
                await run.released.wait()
        return await self.store.unclosed_jobs()


@asynccontextmanager
async def supervisor_harness(
    tmp_path: Path,
    limits: Limits | None = None,
    locate: Locate | None = None,
) -> AsyncIterator[SupervisorHarness]:
    limits = limits or Limits()
    tmp_path.mkdir(exist_ok=True)
    made: list[SupervisorHarness] = []

    async def work_on_node(task: NodeTask, report: Report) -> tuple[str, ...]:
        return await made[0].work_on_node(task, report)

    async with open_store(tmp_path / "cucmd.db") as store:
        slots = Slots(limits)
        services = JobServices(store, JobFeed(), slots, work_on_node, locate or by_name)
        async with open_supervisor(services, tmp_path / "jobs", limits) as supervisor:
            made.append(SupervisorHarness(supervisor, services, tmp_path))
            yield made[0]


def fail_calls(
    store: Store,
    method: str,
    times: float = 1,
    *,
    error: Exception | None = None,
    meanwhile: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
) -> None:
    """Makes the next `times` calls of a method of this store fail, after they await `meanwhile`."""
    call, left = getattr(store, method), times

    async def fails(*arguments: object, **named: object) -> object:
        nonlocal left
        if left <= 0:
            return await call(*arguments, **named)
        left -= 1
        await meanwhile()
        raise error or StoreFailed("the disk is full")

    setattr(store, method, fails)


def call_after(store: Store, method: str, then: Callable[..., Awaitable[None]]) -> None:
    """Makes each call of a method of this store await `then`, with its arguments, at its end."""
    call = getattr(store, method)

    async def calls_then(*arguments: object, **named: object) -> object:
        result = await call(*arguments, **named)
        await then(*arguments)
        return result

    setattr(store, method, calls_then)


class HeldCall:
    """Holds one call of a method of this store: `held` is set, and it goes on when `go` is set.

    before  how many calls before this one are not held
    done    whether the call has had its effect when it is held
    """

    def __init__(self, store: Store, method: str, *, before: int = 0, done: bool = False) -> None:
        self.held, self.go = trio.Event(), trio.Event()
        self._call, self._before, self._done = getattr(store, method), before, done
        setattr(store, method, self)

    async def __call__(self, *arguments: object, **named: object) -> object:
        holds = not self._before
        self._before -= 1
        if holds and not self._done:
            await self._hold()
        result = await self._call(*arguments, **named)
        if holds and self._done:
            await self._hold()
        return result

    async def _hold(self) -> None:
        self.held.set()
        await self.go.wait()


def planned(job: Job, tasks: Sequence[NodeTask | None]) -> Plan:
    """Returns a plan with this job and these tasks."""

    async def plan() -> PlannedJob:
        await trio.lowlevel.checkpoint()
        return job, tasks

    return plan


async def by_name(host: str, port: int) -> tuple[str, int]:
    return host, port


async def hang(task: NodeTask, report: Report) -> tuple[str, ...]:
    await trio.sleep_forever()
    raise AssertionError


def fails_with(code: Code) -> Behaviour:
    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        raise fail(code, "it was so")

    return behaviour


def statuses(job: Job) -> list[str]:
    return [node.status for node in job.nodes]
