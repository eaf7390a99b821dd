"""The methods of `io.cucmd.Jobs` about jobs, one function for each.

The one rule: a reply is sent when its effect is durable. A refusal is an error of the interface.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from cucmd.api.listing import list_filter
from cucmd.api.refusals import refusals
from cucmd.api.request_id import traced
from cucmd.api.watching import Watching
from cucmd.api.wire import job_to_wire, summary_to_wire
from cucmd.cases.files import is_gone
from cucmd.config import InvalidValue
from cucmd.job import Job
from cucmd.jobs.errors import FilesDeleted
from cucmd.jobs.events import Feed
from cucmd.jobs.supervisor import Supervisor
from cucmd.plan import labels
from cucmd.plan.planner import MOST_NODES, OnNodes, Planned, Planner
from cucmd.plan.start_key import start_key
from cucmd.plan.targets import needs_discoveries
from cucmd.protocol import structs
from cucmd.protocol.structs_check import CheckRequest
from cucmd.protocol.structs_clusters import DiscoverRequest
from cucmd.protocol.structs_commands import CaptureRequest, RunRequest, StopReply, StopRequest
from cucmd.store import Discovery, JobFilter, StoreFailed
from cucmd.varlink import Caller, StreamReply

log = logging.getLogger(__name__)


# A request that makes a job.
NewJob = TypeVar(
    "NewJob", structs.StartRequest, DiscoverRequest, RunRequest, CheckRequest, CaptureRequest
)


async def _none() -> Sequence[Discovery]:
    return ()


class Jobs:
    """The methods.

    planner   called for each request, since a reload replaces the planner
    asked     called with each job whose state was asked for
    discoveries  what nodes have said of their clusters, the newest first
    """

    def __init__(
        self,
        supervisor: Supervisor,
        feed: Feed,
        planner: Callable[[], Planner],
        asked: Callable[[Job], None] = lambda job: None,
        discoveries: Callable[[], Awaitable[Sequence[Discovery]]] = _none,
    ) -> None:
        self._discoveries = discoveries
        self._supervisor = supervisor
        self._planner = planner
        self._watching = Watching(supervisor, feed, self._wire)
        self._asked = asked

    async def start(self, caller: Caller, request: structs.StartRequest) -> structs.StartReply:
        def said(job: Job) -> str:
            return f"started on {_nodes(len(job.nodes))}"

        return await self._begin("Start", caller, request, Planner.plan, said)

    async def discover(self, caller: Caller, request: DiscoverRequest) -> structs.StartReply:
        def plan(planner: Planner, request: DiscoverRequest, _: Sequence[Discovery]) -> Planned:
            return planner.plan_discovery(request)

        def said(job: Job) -> str:
            return f"discovery from {job.nodes[0].node}"

        return await self._begin("Discover", caller, request, plan, said)

    async def run(self, caller: Caller, request: RunRequest) -> structs.StartReply:
        def said(job: Job) -> str:
            return f"{len(request.commands)} commands on {_nodes(len(job.nodes))}"

        return await self._begin("Run", caller, request, Planner.plan_run, said)

    async def check(self, caller: Caller, request: CheckRequest) -> structs.StartReply:
        def said(job: Job) -> str:
            return f"check of {_nodes(len(job.nodes))}"

        return await self._begin("Check", caller, request, Planner.plan_check, said)

    async def capture(self, caller: Caller, request: CaptureRequest) -> structs.StartReply:
        def said(job: Job) -> str:
            return f"capture on {_nodes(len(job.nodes))}"

        return await self._begin("Capture", caller, request, Planner.plan_capture, said)

    async def _begin(
        self,
        method: str,
        caller: Caller,
        request: NewJob,
        plan: Callable[[Planner, NewJob, Sequence[Discovery]], Planned],
        said: Callable[[Job], str],
    ) -> structs.StartReply:
        """The reply to a request that makes a job: the job that was planned and is started, or that
        of an earlier call with the same key.

        said  what the log has of the job
        """
        with traced(method, caller, request.request_id) as called:
            with refusals(caller):
                request = replace(request, request_id=called)
                key = start_key(caller.uid, request)
                # Before the plan, which fails if the configuration has lost what it needs.
                job = await self._supervisor.made_with(key)
                if job is None:
                    discoveries = await self._discoveries_for(request)
                    planned, tasks = plan(self._planner(), request, discoveries)
                    planned = replace(planned, uid=caller.uid)
                    job = await self._supervisor.start(planned, tasks, key)
            _log(caller, called, job.job_id, said(job))
            return structs.StartReply(self._wire(job), called)

    async def _discoveries_for(self, request: OnNodes | DiscoverRequest) -> Sequence[Discovery]:
        """What decides the nodes of the request beside the configuration."""
        if not isinstance(request, DiscoverRequest) and needs_discoveries(
            request.nodes, request.discovered
        ):
            return await self._discoveries()
        return ()

    async def stop(self, caller: Caller, request: StopRequest) -> StopReply:
        with traced("Stop", caller, request.request_id) as called:
            with refusals(caller):
                job, running = await self._supervisor.stop_capture(request.job_id)
            _log(caller, called, job.job_id, f"captures stopped on {_nodes(running)}")
            done = f"the captures on {_nodes(running)} end, and their files are collected"
            message = f"job {job.job_id}: {done if running else 'no capture runs any more'}"
            return StopReply(message, self._wire(job), called)

    async def retry(self, caller: Caller, request: structs.RetryRequest) -> structs.StartReply:
        with traced("Retry", caller, request.request_id) as called:
            with refusals(caller):
                _check_named(request.nodes, "all that did not succeed")
                plan = partial(self._planner().plan_retry, request=request)
                key = start_key(caller.uid, request)
                job = await self._supervisor.made_with(key)  # before the check, as in `_begin`
                if job is None:
                    await self._check_is_there(request.job_id)
                    job = await self._supervisor.retry(request.job_id, plan, key, uid=caller.uid)
            _log(caller, called, job.job_id, f"retry {job.retries}")
            return structs.StartReply(self._wire(job), called)

    async def _check_is_there(self, job_id: str) -> None:
        """Raises `FilesDeleted` if somebody has removed what the job has collected: of the nodes
        that have succeeded nothing is left, as after a call that deletes it.
        """
        job = await self._supervisor.find(job_id)
        if is_gone(job, self._supervisor.directory(job.job_id)):
            raise FilesDeleted(job.job_id)

    async def status(self, caller: Caller, request: structs.StatusRequest) -> structs.JobReply:
        with refusals():
            job = await self._supervisor.find(request.job_id)
        self._asked(job)
        gone = is_gone(job, self._supervisor.directory(job.job_id))
        return structs.JobReply(self._wire(job, gone=gone))

    async def list(self, caller: Caller, request: structs.ListRequest) -> structs.ListReply:
        with refusals():
            limit, which = list_filter(request)
            if which.before is not None:
                which = replace(which, before=(await self._supervisor.find(which.before)).job_id)
            found = await self._supervisor.newest(limit, which)
            older = await self._older(found[-1].job_id, which) if found else 0
        return structs.ListReply(tuple(summary_to_wire(job) for job in found), older)

    async def _older(self, job_id: str, which: JobFilter) -> int | None:
        """How many jobs of a list are older than this one. None: the store cannot be read."""
        with suppress(StoreFailed):
            return await self._supervisor.count(replace(which, before=job_id))
        return None

    async def label(self, caller: Caller, request: structs.LabelRequest) -> structs.JobReply:
        def change(job: Job) -> Job:
            return replace(job, labels=labels.changed(job.labels, request.labels))

        with refusals(caller):
            return structs.JobReply(
                self._wire(await self._supervisor.relabel(request.job_id, change))
            )

    async def cancel(self, caller: Caller, request: structs.CancelRequest) -> structs.CancelReply:
        with traced("Cancel", caller, request.request_id) as called:
            with refusals(caller):
                _check_named(request.nodes, "all")
                job, changed = await self._supervisor.cancel(request.job_id, request.nodes)
            log.info(
                "job %s: cancel by uid %d, pid %d, request %s: now %s",
                job.job_id,
                caller.uid,
                caller.pid,
                called,
                job.status,
                extra=caller.for_log,
            )
            reply = _cancel_reply(job, request.nodes, changed=changed)
            return replace(reply, request_id=called)

    def watch(
        self, caller: Caller, request: structs.WatchRequest
    ) -> AsyncGenerator[StreamReply, None]:
        """Returns the generator and is none itself: closing it ends the subscription at once."""
        return self._watching.watch(request)

    def _wire(self, job: Job, *, gone: bool = False) -> structs.Job:
        supervisor, job_id = self._supervisor, job.job_id
        unsaved = supervisor.unsaved(job_id)
        return job_to_wire(job, supervisor.directory(job_id), unsaved, gone=gone)


def _log(caller: Caller, called: str, job_id: str, what: str) -> None:
    """`called`: the id of the request."""
    text = "job %s: %s by uid %d, pid %d, request %s"
    log.info(text, job_id, what, caller.uid, caller.pid, called, extra=caller.for_log)


def _check_named(nodes: tuple[str, ...] | None, otherwise: str) -> None:
    """The nodes of a cancel or a retry; without the field they are `otherwise`.

    Raises `InvalidValue`.
    """
    if nodes is None:
        return
    if not nodes:
        raise InvalidValue("nodes", f"is empty; expected nodes, or no such field for {otherwise}")
    if len(nodes) > MOST_NODES:
        raise InvalidValue("nodes", f"{len(nodes)} names; a job has at most {MOST_NODES}")


def _cancel_reply(job: Job, nodes: tuple[str, ...] | None, *, changed: bool) -> structs.CancelReply:
    if nodes is None:
        return structs.CancelReply(
            job.job_id, job.status, job.cancelled, _cancel_message(job, changed=changed)
        )
    names = frozenset(nodes)
    named = [node for node in job.nodes if node.node in names]
    cancelled = all(node.status == "cancelled" for node in named)
    states = ", ".join(f"{node.node} is {node.status}" for node in named)
    done = "" if changed else "nothing changed: "
    return structs.CancelReply(job.job_id, job.status, cancelled, f"{done}{states}")


def _cancel_message(job: Job, *, changed: bool) -> str:
    if changed:
        count = sum(node.status == "cancelled" for node in job.nodes)
        if before := len(job.nodes) - count:
            return (
                f"job {job.job_id}: cancelled {_nodes(count)};"
                f" {before} had finished before; it ends {job.status}"
            )
        return f"job {job.job_id} is {job.status}: {count} of {_nodes(count)} cancelled"
    if job.cancelled:
        return f"job {job.job_id} was cancelled before: it is {job.status}"
    if not job.ended:  # its row is damaged; the log of the start says so
        return f"job {job.job_id} is {job.status}, but nothing runs that could be cancelled"
    return f"job {job.job_id} had already finished: it is {job.status}; nothing changed"


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"
