"""Answers the calls of `io.cucmd.Jobs` about jobs, with one function for each."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from msgspec.structs import replace

from cucmd.api.refusals import refusals, traced
from cucmd.api.request_checks import check_named, list_filter, start_key
from cucmd.api.watching import UNFINISHED, StreamReplies, Watching
from cucmd.api.wire import changed_to_wire, job_to_wire, summary_to_wire
from cucmd.cases.files import is_directory_gone
from cucmd.config import InvalidValue
from cucmd.config.config_thread import ConfigThread
from cucmd.job.job import Job
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Login
from cucmd.jobs.job_errors import position_of
from cucmd.jobs.job_feed import JobFeed
from cucmd.jobs.supervisor import Supervisor
from cucmd.plan import labels
from cucmd.plan.kept_logins import KeptLogins
from cucmd.plan.planner import Planned, Planner
from cucmd.plan.resolve import errors_below, parse_instant
from cucmd.protocol import jobs as wire
from cucmd.protocol import requests
from cucmd.protocol.requests import DEFAULT_LIMIT
from cucmd.store import JobFilter, StoredDiscovery, StoreFailed
from cucmd.toml_file import wrong_value
from cucmd.varlink import Caller

# The limit of running jobs, and of queued jobs, that a watch of changes of all jobs sends at its
# beginning. More jobs can exist only if the configuration raises the limits.
_MOST_UNFINISHED = 1000

log = logging.getLogger(__name__)


async def no_discoveries() -> Sequence[StoredDiscovery]:
    return ()


class JobMethods:
    """Answers the calls about jobs.

    planner      returns the planner; called for each request, since a reload replaces it
    on_status    called with each job whose state a call asks for
    discoveries  returns what nodes have said about their clusters, the newest first
    logins       the logins that are kept for users
    """

    def __init__(
        self,
        supervisor: Supervisor,
        feed: JobFeed[Job],
        planner: Callable[[], Planner],
        on_status: Callable[[Job], None] = lambda job: None,
        discoveries: Callable[[], Awaitable[Sequence[StoredDiscovery]]] = no_discoveries,
        *,
        logins: KeptLogins | None = None,
    ) -> None:
        self._logins = logins or KeptLogins()
        self._discoveries = discoveries
        self._thread = ConfigThread()
        self._supervisor = supervisor
        self._planner = planner
        self._on_status = on_status
        self._watching = Watching(
            feed,
            find=self._find,
            listed=self._listed,
            to_wire=self._wire,
            changed=self._changed,
        )

    async def start(self, caller: Caller, request: StartRequest) -> wire.StartReply:
        """Plans and starts a job. Returns it, or the job of an earlier call with the same key."""
        with traced("Start", caller, request.request_id) as request_id:
            with refusals(caller):
                request = replace(request, request_id=request_id)
                plan = partial(self._plan, request, caller)
                key = start_key(caller.uid, request, caller.asked_by)
                job = await self._supervisor.start(plan, key)
            _log(caller, request_id, job.job_id, f"{job.kind} on {_nodes(len(job.nodes))}")
            return wire.StartReply(self._wire(job), request_id)

    async def _plan(self, request: StartRequest, caller: Caller) -> Planned:
        try:
            member, work = request.work()
        except ValueError as error:
            raise InvalidValue(*error.args) from None
        limit = parse_instant("not_after", request.not_after)
        if limit is not None and limit < datetime.now(UTC):
            reason = wrong_value(request.not_after, "the start has come later than that")
            raise InvalidValue("not_after", reason)
        if request.upload is not None:
            advice = "is only for a hub of several sites; here, use cucmctl export JOB --upload"
            raise InvalidValue("upload", wrong_value(request.upload, advice))
        discoveries = await self._discoveries()
        with errors_below(member, work):
            names, login = request.nodes, request.login
            kept = self._logins.of((caller.uid, caller.asked_by))
            plan = partial(
                self._planner().plan, names, login, work, request, discoveries, kept=kept
            )
            job, tasks = await self._with_login(login, plan)
            return replace(job, uid=caller.uid, asked_by=caller.asked_by), tasks

    async def _with_login(self, login: Login | None, plan: Callable[[], Planned]) -> Planned:
        """Calls `plan`, in a thread if it has to read credentials. Raises `ReadTimeout`."""
        has_password = login is not None and login.password is not None
        return plan() if has_password else await self._thread.read(plan)

    async def stop(self, caller: Caller, request: requests.StopRequest) -> wire.StopReply:
        with traced("Stop", caller, request.request_id) as request_id:
            with refusals(caller):
                job, running = await self._supervisor.end_early(request.job_id)
            _log(caller, request_id, job.job_id, f"{job.kind} stopped on {_nodes(running)}")
            result = f"no {job.kind} runs any more"
            if running:
                result = f"the {job.kind} on {_nodes(running)} ends, and its files are kept here"
            message = f"job {job.job_id}: {result}"
            return wire.StopReply(message, self._wire(job), request_id)

    async def retry(self, caller: Caller, request: wire.RetryRequest) -> wire.StartReply:
        with traced("Retry", caller, request.request_id) as request_id:
            with refusals(caller):
                check_named(request.nodes, "all that did not succeed")
                plan = partial(self._plan_retry, self._planner(), request, caller)
                key = start_key(caller.uid, request, caller.asked_by)
                job = await self._supervisor.retry(request.job_id, plan, key, uid=caller.uid)
            _log(caller, request_id, job.job_id, f"retry {job.retries}")
            return wire.StartReply(self._wire(job), request_id)

    async def _plan_retry(
        self, planner: Planner, request: wire.RetryRequest, caller: Caller, job: Job
    ) -> Planned:
        names, login, try_all = request.nodes, request.login, bool(request.try_all)
        kept = self._logins.of((caller.uid, caller.asked_by))
        plan = partial(
            planner.plan_retry, job, names=names, login=login, try_all=try_all, kept=kept
        )
        return await self._with_login(login, plan)

    async def status(self, caller: Caller, request: requests.StatusRequest) -> wire.JobReply:
        with refusals():
            job = await self._supervisor.find(request.job_id)
        self._on_status(job)
        gone = is_directory_gone(job, self._supervisor.directory(job.job_id))
        return wire.JobReply(self._wire(job, gone=gone))

    async def list(self, caller: Caller, request: requests.ListRequest) -> wire.ListReply:
        with refusals():
            limit, which = list_filter(request)
            if which.before is not None:
                which = replace(which, before=(await self._supervisor.find(which.before)).job_id)
            found = await self._supervisor.newest(limit, which)
            older: int | None = None if found else 0
            with suppress(StoreFailed):
                if found:
                    rest = replace(which, before=found[-1].job_id)
                    older = await self._supervisor.count(rest)
        return wire.ListReply(tuple(summary_to_wire(job) for job in found), older)

    async def label(self, caller: Caller, request: requests.LabelRequest) -> wire.JobReply:
        def change(job: Job) -> Job:
            return replace(job, labels=labels.apply_change(job.labels, request.labels))

        with refusals(caller):
            return wire.JobReply(self._wire(await self._supervisor.relabel(request.job_id, change)))

    async def cancel(self, caller: Caller, request: requests.CancelRequest) -> requests.CancelReply:
        with traced("Cancel", caller, request.request_id) as request_id:
            with refusals(caller):
                check_named(request.nodes, "all")
                job, changed = await self._supervisor.cancel(request.job_id, request.nodes)
            _log(caller, request_id, job.job_id, f"cancel (the job is {job.status} now)")
            if request.nodes is None:
                cancelled, message = job.cancelled, _cancel_message(job, changed=changed)
            else:
                positions = sorted({position_of(job, name) for name in request.nodes})
                named = [job.nodes[position] for position in positions]
                cancelled = all(node.status == "cancelled" for node in named)
                states = ", ".join(f"{node.full_name} is {node.status}" for node in named)
                message = states if changed else f"nothing changed: {states}"
            return requests.CancelReply(job.job_id, job.status, cancelled, message, request_id)

    def watch(self, caller: Caller, request: requests.WatchRequest) -> StreamReplies:
        return self._watching.watch(request)

    def _changed(self, before: Job | None, job: Job) -> wire.JobChange:
        return changed_to_wire(before, job, self._supervisor.save_error(job.job_id))

    async def _find(self, prefix: str) -> Job:
        with refusals():
            return await self._supervisor.find(prefix)

    async def _listed(self, unfinished: bool) -> tuple[wire.JobSummary, ...]:
        """Lists the jobs that run or wait, or the newest jobs."""
        newest = self._supervisor.newest
        with refusals():
            if unfinished:
                each = [await newest(_MOST_UNFINISHED, JobFilter(status=one)) for one in UNFINISHED]
            else:
                each = [await newest(DEFAULT_LIMIT)]
        # A job can begin to run between the two lists. Each job is listed once.
        return tuple({job.job_id: summary_to_wire(job) for jobs in each for job in jobs}.values())

    def _wire(self, job: Job, *, gone: bool = False) -> wire.Job:
        supervisor, job_id = self._supervisor, job.job_id
        unsaved = supervisor.save_error(job_id)
        return job_to_wire(job, supervisor.directory(job_id), unsaved, gone=gone)


def _log(caller: Caller, request_id: str, job_id: str, what: str) -> None:
    """Logs a call about a job, with its caller and its id."""
    text = "job %s: %s by %s, request %s"
    log.info(text, job_id, what, caller, request_id, extra=caller.for_log)


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
    if not job.ended:  # the daemon could not resume it after a restart; its log says why
        return f"job {job.job_id} is {job.status}, but nothing runs that could be cancelled"
    return f"job {job.job_id} had already finished: it is {job.status}; nothing changed"


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"
