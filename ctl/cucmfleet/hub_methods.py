"""Answers the calls of `io.cucmd.Jobs` at the hub.

Start, Retry and Cancel are answered once their commands are in the hub's files. What comes of a
command is shown by the job: until then it is queued or running, or a note says that the cancel is
on its way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice, zip_longest
from typing import Any, TypeAlias

import trio
from msgspec import convert
from msgspec.structs import replace

from cucmctl.text.render import summary, user
from cucmd.api.interface import AnyHandler
from cucmd.api.refusals import error, invalid, refusals, traced
from cucmd.api.request_checks import check_named, list_filter, start_key
from cucmd.api.watching import StreamReplies, Watching
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Login
from cucmd.plan.resolve import parse_instant
from cucmd.protocol import jobs as wire
from cucmd.protocol import knowledge, requests
from cucmd.protocol.errors import JobBusy, JobNotFound, NodeNotFound, NotAtHub
from cucmd.protocol.methods import METHODS
from cucmd.store import EVERY_JOB, JobFilter, StartKey, StoreFailed
from cucmd.varlink import Caller, VarlinkError
from cucmfleet.board import Board
from cucmfleet.messages import LARGEST, UNFINISHED, Asked, Command, Part, by_site
from cucmfleet.view import cluster_at

# Sites, each with those of its nodes that are meant, or None for all.
Sites: TypeAlias = dict[str, tuple[str, ...] | None]
# Sites, each with the one field of its command that is set.
Given: TypeAlias = dict[str, dict[str, Any]]

_SHORTEST_PREFIX = 4
_NAME_LENGTH = 64
# Bytes of `LARGEST` that are left for cancels, so that whatever was started can be cancelled.
_FOR_CANCELS = 250_000
_NO_PASSWORD = "no password travels over the hub; expected a credential of the site"  # noqa: S105


class HubMethods:
    """Answers the calls. on_commands: called with a job and new commands once they are stored."""

    def __init__(self, board: Board, on_commands: Callable[[Asked, list[Command]], None]) -> None:
        self._board = board
        self._on_commands = on_commands
        # One call after the other: a repeated call finds what the first one has asked.
        self._turn = trio.Lock()
        self._watching = Watching(
            board.feed,
            find=self._found,
            listed=self._listed,
            to_wire=lambda job: job,
            changed=_change,
        )

    def handlers(self) -> dict[str, AnyHandler]:
        """Returns the function for each method."""
        own = ("Start", "Status", "List", "Watch", "Cancel", "Retry", "Clusters")
        handlers = {name: self._elsewhere(name) for name in METHODS}
        return handlers | {name: getattr(self, name.lower()) for name in own}

    async def start(self, caller: Caller, request: StartRequest) -> wire.StartReply:
        with traced("Start", caller, request.request_id) as request_id:
            with refusals(caller):
                key = start_key(caller.uid, request, caller.asked_by)
                job_id = secrets.token_hex(6)
                if key is not None:  # a repeated call gets the same job
                    job_id = sha256(f"{key.owner} {key.name}".encode()).hexdigest()[:12]
                async with self._turn:
                    asked = self._board.jobs.get(job_id)
                    if asked is None:
                        self._check(request)
                        plain = replace(request, request_id=request_id, on_behalf_of=None)
                        parts = {site: Part() for site in by_site(plain.nodes)}
                        who = caller.uid, caller.asked_by
                        asked = Asked(job_id, datetime.now(UTC), plain, *who, parts)
                        starts = {site: {"start": _at_site(plain, site)} for site in asked.parts}
                        await self._give(caller, asked, starts, key)
                    elif key not in asked.keys:
                        raise invalid("start_key", "belongs to another request; expected a new key")
            return wire.StartReply(self._board.job(job_id), request_id)

    def _check(self, request: StartRequest) -> None:
        try:
            _, work = request.work()
        except ValueError as wrong:
            raise invalid(*wrong.args) from None
        for field in ("since", "until"):  # no list could be shown with a text that is no time
            wanted = getattr(work, "collection", None)
            parse_instant(f"collection.{field}", getattr(wanted, field, None))
        _check_login(request.login)
        limit = parse_instant("not_after", request.not_after)
        if limit is not None and limit < datetime.now(UTC):
            raise invalid("not_after", "has passed; expected a time in the future")
        if not request.nodes:
            raise invalid("nodes", "is empty; expected at least one SITE/NODE")
        for name in (*request.nodes, *(request.discovered or ())):
            site, _, node = name.partition("/")
            if not node or site not in self._board.sites:
                known = ", ".join(self._board.sites) or "none yet: cucmhub site add"
                raise invalid("nodes", f"{name[:80]!a}: expected SITE/NODE; sites are {known}")

    async def _give(
        self, caller: Caller, asked: Asked, what: Given, key: StartKey | None = None
    ) -> None:
        """Gives each site a command, which is a start, a retry or a cancel. Raises `StoreFailed`,
        and `VarlinkError` for a job that is too large.

        key  that of the call
        """
        commands, keys = [], asked.keys
        speaker = caller.asked_by or user(caller.uid)[:_NAME_LENGTH]
        for site, request in what.items():
            part = asked.parts[site]
            # Larger than those before it, also if the clock was set back.
            before = (*(one.number for one in part.commands), part.state.done if part.state else 0)
            number = max(time.time_ns() // 1000, *(one + 1 for one in before))
            commands.append(Command(number, site, asked.job_id, speaker, **request))
            part.commands.append(commands[-1])
        asked.keys = (*keys, key) if key else keys
        try:
            room = 0 if all(one.cancel for one in commands) else _FOR_CANCELS
            if len(asked.without_states()) + room > LARGEST:
                raise invalid("nodes", "the job is too large for NATS; expected fewer in each job")
            await self._board.keep(asked)
        except (StoreFailed, VarlinkError):
            asked.keys = keys
            for command in commands:
                asked.parts[command.site].commands.remove(command)
            self._board.changed(asked.job_id)
            raise
        self._on_commands(asked, commands)

    async def cancel(self, caller: Caller, request: requests.CancelRequest) -> requests.CancelReply:
        with traced("Cancel", caller, request.request_id) as request_id, refusals():
            check_named(request.nodes, "all")
            asked = self._find(request.job_id)
            sites = self._sites_of(asked, request.nodes)
            plain = replace(request, request_id=request_id, on_behalf_of=None)
            async with self._turn:
                cancels: Given = {
                    site: {"cancel": replace(plain, nodes=nodes)}
                    for site, nodes in sites.items()
                    if not asked.parts[site].end
                }
                await self._give(caller, asked, cancels)
            job = self._board.job(asked.job_id)
            message = f"job {job.job_id} is {job.status}"
            if cancels:
                message += f"; the cancel is on its way to {', '.join(cancels)}"
            return requests.CancelReply(job.job_id, job.status, job.cancelled, message, request_id)

    async def retry(self, caller: Caller, request: wire.RetryRequest) -> wire.StartReply:
        with traced("Retry", caller, request.request_id) as request_id, refusals(caller):
            check_named(request.nodes, "all that did not succeed")
            _check_login(request.login)
            asked = self._find(request.job_id)
            key = start_key(caller.uid, request, caller.asked_by)
            plain = replace(request, request_id=request_id, on_behalf_of=None)
            async with self._turn:
                if key is None or key not in asked.keys:
                    await self._give(caller, asked, self._retries(asked, plain), key)
            return wire.StartReply(self._board.job(asked.job_id), request_id)

    def _retries(self, asked: Asked, request: wire.RetryRequest) -> Given:
        """Returns what each site is to do for a retry. Raises `JobBusy` and `InvalidRequest`."""
        retries: Given = {}
        for site, nodes in self._sites_of(asked, request.nodes).items():
            part = asked.parts[site]
            job = part.state.job if part.state else None
            if not part.end or (job and not job.closed):
                raise error(JobBusy(asked.job_id, f"it goes on at {site}"))
            if nodes is None and part.end[0] == "succeeded":
                continue
            if site not in self._board.sites:
                raise invalid("nodes", f"site {site} was removed; expected nodes of other sites")
            if job:
                retries[site] = {"retry": replace(request, nodes=nodes)}
            else:  # it was refused, or cancelled before its start
                start = replace(_at_site(asked.request, site), not_after=None)
                retries[site] = {"start": replace(start, login=request.login or start.login)}
        return retries

    def _sites_of(self, asked: Asked, names: tuple[str, ...] | None) -> Sites:
        """Returns the sites of a job, with those of its nodes that are named, or None for all.
        Raises `NodeNotFound`.
        """
        if names is None:
            return dict.fromkeys(asked.parts)
        nodes = self._board.job(asked.job_id).nodes
        known = {name for node in nodes for name in (node.node, node.name)}
        for name in names:
            if name not in known:
                raise error(NodeNotFound(asked.job_id, name[:80]))
        return {**by_site(names)}

    async def status(self, caller: Caller, request: requests.StatusRequest) -> wire.JobReply:
        return wire.JobReply(self._board.job(self._find(request.job_id).job_id))

    async def list(self, caller: Caller, request: requests.ListRequest) -> wire.ListReply:
        with refusals():
            limit, which = list_filter(request)
        found = [*reversed(self._board.jobs)]
        if which.before is not None:
            found = found[found.index(self._find(which.before).job_id) + 1 :]
        if which.status in UNFINISHED:  # most jobs have ended, and need not be looked at
            found = [job_id for job_id in found if job_id in self._board.unfinished]
        if replace(which, before=None) != EVERY_JOB:
            found = [job_id for job_id in found if _fits(self._board.job(job_id), which)]
        listed = self._summaries(found[:limit])
        return wire.ListReply(listed, len(found) - len(listed))

    def watch(self, caller: Caller, request: requests.WatchRequest) -> StreamReplies:
        return self._watching.watch(request)

    async def _listed(self, unfinished: bool) -> tuple[wire.JobSummary, ...]:
        newest = islice(reversed(self._board.jobs), requests.DEFAULT_LIMIT)
        return self._summaries(reversed(self._board.unfinished) if unfinished else newest)

    def _summaries(self, ids: Iterable[str]) -> tuple[wire.JobSummary, ...]:
        return tuple(summary(self._board.job(job_id)) for job_id in ids)

    async def _found(self, prefix: str) -> wire.Job:
        return self._board.job(self._find(prefix).job_id)

    async def clusters(
        self, caller: Caller, request: knowledge.ClustersRequest
    ) -> knowledge.ClustersReply:
        found = [
            cluster_at(name, cluster)
            for name, site in self._board.sites.items()
            if site.state is not None
            for cluster in site.state.clusters
        ]
        if request.name is None:
            found = [replace(one, nodes=None) for one in found]
        else:
            found = [
                one
                for one in found
                if request.name in (one.name, one.asked, *(node.node for node in one.nodes or ()))
            ]
        return knowledge.ClustersReply(tuple(found))

    def _find(self, prefix: str) -> Asked:
        """Returns the job whose id begins with `prefix`. Raises `JobNotFound` and
        `InvalidRequest`.
        """
        if prefix in self._board.jobs:
            return self._board.jobs[prefix]
        found = [job_id for job_id in self._board.jobs if job_id.startswith(prefix)]
        if not found or len(prefix) < _SHORTEST_PREFIX:
            raise error(JobNotFound(prefix[:_NAME_LENGTH]))
        if len(found) > 1:
            raise invalid("job_id", f"{len(found)} jobs begin with it; expected more of the id")
        return self._board.jobs[found[0]]

    def _elsewhere(self, name: str) -> AnyHandler:
        """Returns what refuses a method that only the daemons of sites have."""

        def refuse(_caller: Caller, request: Any) -> Any:
            if getattr(request, "job_id", None) is None:
                raise error(NotAtHub(name, tuple(self._board.sites)))
            asked, sites = self._find(request.job_id), []
            for site, part in asked.parts.items():
                job = part.state.job if part.state else None
                sites.append(f"{site} (job {job.job_id})" if job else site)
            raise error(NotAtHub(name, tuple(sites)))

        return refuse


def _at_site(request: StartRequest, site: str) -> StartRequest:
    """Returns what a site is to start."""
    discovered = by_site(request.discovered or ()).get(site)
    return replace(request, nodes=by_site(request.nodes)[site], discovered=discovered)


def _check_login(login: Login | None) -> None:
    if login is None:
        return
    if login.password is not None:
        raise invalid("login.password", _NO_PASSWORD)
    if login.kept:
        raise invalid("login.kept", "no login is kept at the hub; expected a credential")


def _change(before: wire.Job | None, job: wire.Job) -> wire.JobChange:
    """Returns a change with the nodes that differ from `before`, or all nodes if it is None."""
    known = () if before is None else before.nodes
    nodes = [node for node, was in zip_longest(job.nodes, known) if node and node != was]
    return convert(replace(job, nodes=tuple(nodes)), wire.JobChange, from_attributes=True)


def _fits(job: wire.Job, which: JobFilter) -> bool:
    if which.target is not None:
        names = {name for node in job.nodes for name in (node.node, node.name)}
        if which.target not in names | {*(job.targets or ())}:
            return False
    return (
        which.status in (None, job.status)
        and which.kind in (None, job.kind)
        and (which.since is None or job.created_at >= which.since)
        and which.labels.items() <= (job.labels or {}).items()
    )
