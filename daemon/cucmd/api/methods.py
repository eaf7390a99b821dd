"""Answers the calls of `io.cucmd.Jobs` about jobs, with one function for each.

A reply is sent when its effect is durable. A refusal is an error of the interface.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from cucmd.api.refusals import refusals, traced
from cucmd.api.requests import list_filter, start_key
from cucmd.api.watching import WatchStreams
from cucmd.api.wire import job_to_wire, summary_to_wire
from cucmd.cases.files import is_gone
from cucmd.config import InvalidValue
from cucmd.config.in_thread import ConfigThread
from cucmd.job.asked import Login
from cucmd.job.job import Job
from cucmd.job.work import StartRequest
from cucmd.jobs.errors import position_of
from cucmd.jobs.events import JobFeed
from cucmd.jobs.supervisor import Supervisor
from cucmd.plan import labels
from cucmd.plan.planner import MOST_NODES, Planned, Planner
from cucmd.plan.resolve import below
from cucmd.plan.targets import needs_discoveries
from cucmd.protocol import jobs as wire
from cucmd.protocol.requests import (
    CancelReply,
    CancelRequest,
    LabelRequest,
    ListRequest,
    StatusRequest,
    StopRequest,
    WatchRequest,
)
from cucmd.store import JobFilter, StoredDiscovery, StoreFailed
from cucmd.varlink import Caller, StreamReply

log = logging.getLogger(__name__)


async def _none() -> Sequence[StoredDiscovery]:
    return ()


class Jobs:
    """Answers the calls about jobs.

    planner   called for each request, since a reload replaces the planner
    asked     called with each job whose state was asked for
    discoveries  what nodes have said of their clusters, the newest first
    """

    def __init__(
        self,
        supervisor: Supervisor,
        feed: JobFeed,
        planner: Callable[[], Planner],
        asked: Callable[[Job], None] = lambda job: None,
        discoveries: Callable[[], Awaitable[Sequence[StoredDiscovery]]] = _none,
    ) -> None:
        self._discoveries = discoveries
        self._thread = ConfigThread()
        self._supervisor = supervisor
        self._planner = planner
        self._watching = WatchStreams(supervisor, feed, self._wire)
        self._asked = asked

    async def start(self, caller: Caller, request: StartRequest) -> wire.StartReply:
        """Plans and starts a job, and returns it, or that of an earlier call with the same key."""
        with traced("Start", caller, request.request_id) as called:
            with refusals(caller):
                request = replace(request, request_id=called)
                plan = partial(self._plan, request, caller)
                key = start_key(caller.uid, request, caller.asked_by)
                job = await self._supervisor.start(plan, key)
            _log(caller, called, job.job_id, f"{job.kind} on {_nodes(len(job.nodes))}")
            return wire.StartReply(self._wire(job), called)

    async def _plan(self, request: StartRequest, caller: Caller) -> Planned:
        try:
            member, work = request.work()
        except ValueError as error:
            raise InvalidValue(*error.args) from None
        discoveries: Sequence[StoredDiscovery] = ()
        if needs_discoveries(request.nodes, request.discovered):
            discoveries = await self._discoveries()
        with below(member, work):
            names, login = request.nodes, request.login
            plan = partial(self._planner().plan, names, login, work, request, discoveries)
            job, tasks = await self._with_login(login, plan)
            return replace(job, uid=caller.uid, asked_by=caller.asked_by), tasks

    async def _with_login(self, login: Login | None, plan: Callable[[], Planned]) -> Planned:
        """Plans in a thread if credentials are read for it. Raises `ReadTimeout`."""
        typed_in = login is not None and login.password is not None
        return plan() if typed_in else await self._thread.read(plan)

    async def stop(self, caller: Caller, request: StopRequest) -> wire.StopReply:
        with traced("Stop", caller, request.request_id) as called:
            with refusals(caller):
                job, running = await self._supervisor.stop_together(request.job_id)
            _log(caller, called, job.job_id, f"{job.kind} stopped on {_nodes(running)}")
            done = f"the {job.kind} on {_nodes(running)} ends, and its files are kept here"
            left = done if running else f"no {job.kind} runs any more"
            message = f"job {job.job_id}: {left}"
            return wire.StopReply(message, self._wire(job), called)

    async def retry(self, caller: Caller, request: wire.RetryRequest) -> wire.StartReply:
        with traced("Retry", caller, request.request_id) as called:
            with refusals(caller):
                _check_named(request.nodes, "all that did not succeed")
                plan = partial(self._plan_retry, self._planner(), request)
                key = start_key(caller.uid, request, caller.asked_by)
                job = await self._supervisor.retry(request.job_id, plan, key, uid=caller.uid)
            _log(caller, called, job.job_id, f"retry {job.retries}")
            return wire.StartReply(self._wire(job), called)

    async def _plan_retry(self, planner: Planner, request: wire.RetryRequest, job: Job) -> Planned:
        names, login, try_all = request.nodes, request.login, bool(request.try_all)
        plan = partial(planner.plan_retry, job, names=names, login=login, try_all=try_all)
        return await self._with_login(login, plan)

    async def status(self, caller: Caller, request: StatusRequest) -> wire.JobReply:
        with refusals():
            job = await self._supervisor.find(request.job_id)
        self._asked(job)
        gone = is_gone(job, self._supervisor.directory(job.job_id))
        return wire.JobReply(self._wire(job, gone=gone))

    async def list(self, caller: Caller, request: ListRequest) -> wire.ListReply:
        with refusals():
            limit, which = list_filter(request)
            if which.before is not None:
                which = replace(which, before=(await self._supervisor.find(which.before)).job_id)
            found = await self._supervisor.newest(limit, which)
            older = await self._older(found[-1].job_id, which) if found else 0
        return wire.ListReply(tuple(summary_to_wire(job) for job in found), older)

    async def _older(self, job_id: str, which: JobFilter) -> int | None:
        """Returns how many jobs of a list are older than this. None: the store cannot be read."""
        with suppress(StoreFailed):
            return await self._supervisor.count(replace(which, before=job_id))
        return None

    async def label(self, caller: Caller, request: LabelRequest) -> wire.JobReply:
        def change(job: Job) -> Job:
            return replace(job, labels=labels.changed(job.labels, request.labels))

        with refusals(caller):
            return wire.JobReply(self._wire(await self._supervisor.relabel(request.job_id, change)))

    async def cancel(self, caller: Caller, request: CancelRequest) -> CancelReply:
        with traced("Cancel", caller, request.request_id) as called:
            with refusals(caller):
                _check_named(request.nodes, "all")
                job, changed = await self._supervisor.cancel(request.job_id, request.nodes)
            log.info(
                "job %s: cancel by %s, request %s: now %s",
                job.job_id,
                caller,
                called,
                job.status,
                extra=caller.for_log,
            )
            reply = _cancel_reply(job, request.nodes, changed=changed)
            return replace(reply, request_id=called)

    def watch(self, caller: Caller, request: WatchRequest) -> AsyncGenerator[StreamReply, None]:
        """Returns the generator and is none itself: closing it ends the subscription at once."""
        return self._watching.watch(request)

    def _wire(self, job: Job, *, gone: bool = False) -> wire.Job:
        supervisor, job_id = self._supervisor, job.job_id
        unsaved = supervisor.unsaved(job_id)
        return job_to_wire(job, supervisor.directory(job_id), unsaved, gone=gone)


def _log(caller: Caller, called: str, job_id: str, what: str) -> None:
    """Logs what was done to a job, and by whom. `called`: the id of the request."""
    text = "job %s: %s by %s, request %s"
    log.info(text, job_id, what, caller, called, extra=caller.for_log)


def _check_named(nodes: tuple[str, ...] | None, otherwise: str) -> None:
    """Checks the nodes of a cancel or a retry; without the field they are `otherwise`.

    Raises `InvalidValue`.
    """
    if nodes is None:
        return
    if not nodes:
        raise InvalidValue("nodes", f"is empty; expected nodes, or no such field for {otherwise}")
    if len(nodes) > MOST_NODES:
        raise InvalidValue("nodes", f"{len(nodes)} names; a job has at most {MOST_NODES}")


def _cancel_reply(job: Job, nodes: tuple[str, ...] | None, *, changed: bool) -> CancelReply:
    if nodes is None:
        return CancelReply(
            job.job_id, job.status, job.cancelled, _cancel_message(job, changed=changed)
        )
    named = [job.nodes[position] for position in sorted({position_of(job, name) for name in nodes})]
    cancelled = all(node.status == "cancelled" for node in named)
    states = ", ".join(f"{node.node} is {node.status}" for node in named)
    done = "" if changed else "nothing changed: "
    return CancelReply(job.job_id, job.status, cancelled, f"{done}{states}")


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
