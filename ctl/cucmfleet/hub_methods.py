"""Answers the calls of `io.cucmd.Jobs` at the hub.

Start, Retry and Cancel are answered once their commands are in the hub's file. A Retry or a Cancel
for a site that is heard is given some seconds to be carried out first, so that the answer is that
of the site.
"""

from __future__ import annotations

import pwd
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
import trio
from msgspec import Struct
from msgspec.structs import replace

from cucmd.api.interface import AnyHandler
from cucmd.api.refusals import error, invalid, refusals, traced
from cucmd.api.request_checks import list_filter, start_key
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Login
from cucmd.plan.resolve import parse_instant
from cucmd.protocol import errors, knowledge, requests
from cucmd.protocol import jobs as wire
from cucmd.protocol.errors import JobNotFound, NodeNotFound, NotAtHub
from cucmd.protocol.methods import METHODS, MethodShape
from cucmd.store import JobFilter, StartKey
from cucmd.varlink import Caller, StreamReply, VarlinkError
from cucmd.varlink.interface import Upgrade
from cucmfleet.board import Board
from cucmfleet.hub_file import HubFile
from cucmfleet.messages import Answer, Asked, Command, by_site
from cucmfleet.view import UNFINISHED, change_of, summary_of

# In the class below `list` is a method.
Page: TypeAlias = list[wire.JobSummary]
Names: TypeAlias = list[str]
StreamReplies: TypeAlias = AsyncGenerator[StreamReply, None]

_SHORTEST_PREFIX = 4
# Seconds that a site gets to carry out a command before its call is answered all the same.
_ANSWER = 10.0
_NAME_LENGTH = 64
_NO_PASSWORD = "no password travels over the hub; expected a credential of the site"  # noqa: S105


class HubMethods:
    """Answers the calls. on_commands: called after commands were stored."""

    def __init__(self, board: Board, file: HubFile, on_commands: Callable[[], None]) -> None:
        self._board = board
        self._file = file
        self._on_commands = on_commands
        self._adding = trio.Lock()  # two calls with the same key can come at the same time

    def handlers(self) -> dict[str, AnyHandler]:
        """Returns the function for each method."""
        handlers: dict[str, AnyHandler] = {
            name: self._elsewhere(name, shape) for name, shape in METHODS.items()
        }
        return handlers | {
            "Start": self.start,
            "Status": self.status,
            "List": self.list,
            "Watch": self.watch,
            "Cancel": self.cancel,
            "Retry": self.retry,
            "Clusters": self.clusters,
        }

    async def start(self, caller: Caller, request: StartRequest) -> wire.StartReply:
        with traced("Start", caller, request.request_id) as request_id:
            with refusals(caller):
                request = replace(request, request_id=request_id, on_behalf_of=None)
                key = start_key(caller.uid, request, caller.asked_by)
                async with self._adding:
                    job_id = await self._start(caller, request, key)
            return wire.StartReply(self._board.job(job_id), request_id)

    async def _start(self, caller: Caller, request: StartRequest, key: StartKey | None) -> str:
        if key is not None and (found := await self._file.find_key(key)) is not None:
            digest, job_id = found
            if digest != key.digest:
                raise invalid("start_key", "belongs to another request; expected a new key")
            return job_id
        self._check(request)
        limit = parse_instant("not_after", request.not_after)
        if limit is not None and limit < datetime.now(UTC):
            raise invalid("not_after", "has passed; expected a time in the future")
        asked = Asked(
            job_id=secrets.token_hex(6),
            created_at=datetime.now(UTC),
            request=replace(request, start_key=None),
            owner=caller.uid,
            speaker=_speaker(caller),
            asked_by=caller.asked_by,
        )
        discovered = by_site(request.discovered or ())
        plain = replace(asked.request, not_after=None)
        commands = [
            Command(
                0,
                site,
                asked.job_id,
                asked.speaker,
                start=replace(plain, nodes=targets, discovered=discovered.get(site) or None),
                not_after=limit,
            )
            for site, targets in asked.targets.items()
        ]
        await self._file.add(commands, asked, key)
        self._board.add(asked)
        self._on_commands()
        return asked.job_id

    def _check(self, request: StartRequest) -> None:
        try:
            request.work()
        except ValueError as wrong:
            raise invalid(*wrong.args) from None
        _check_login(request.login)
        if not request.nodes:
            raise invalid("nodes", "is empty; expected at least one SITE/NODE")
        for names in (request.nodes, request.discovered or ()):
            for name in names:
                site, slash, node = name.partition("/")
                if not slash or not node or site not in self._board.sites:
                    known = ", ".join(self._board.sites) or "none yet: cucmhub site add"
                    raise invalid("nodes", f"{name[:80]!a}: expected SITE/NODE; sites are {known}")

    async def status(self, caller: Caller, request: requests.StatusRequest) -> wire.JobReply:
        return wire.JobReply(self._board.job(self._find(request.job_id)))

    async def list(self, caller: Caller, request: requests.ListRequest) -> wire.ListReply:
        with refusals():
            limit, which = list_filter(request)
        before = None if which.before is None else self._find(which.before)
        found: Page = []
        older = 0
        for job in self._board.jobs():
            if before is not None:
                before = None if job.job_id == before else before
            elif _fits(job, which):
                if len(found) < limit:
                    found.append(summary_of(job))
                else:
                    older += 1
        return wire.ListReply(tuple(found), older)

    def watch(self, caller: Caller, request: requests.WatchRequest) -> StreamReplies:
        changes = bool(request.changes)
        if request.job_id is None:
            return self._watch_all(changes=changes)
        return self._watch_job(self._find(request.job_id), changes=changes)

    async def _watch_job(self, job_id: str, *, changes: bool) -> StreamReplies:
        with self._board.subscribe(job_id) as feed:
            job = self._board.job(job_id)
            sequence = 0
            yield StreamReply(wire.WatchReply(0, 0, job=job), continues=job.status in UNFINISHED)
            while job.status in UNFINISHED:
                await feed.next()
                job = self._board.job(job_id)
                sequence += 1
                yield StreamReply(
                    _reply(sequence, job, changes=changes), continues=job.status in UNFINISHED
                )

    async def _watch_all(self, *, changes: bool) -> StreamReplies:
        with self._board.subscribe(None) as feed:
            jobs = self._board.jobs()
            if changes:
                shown = [job for job in jobs if job.status in UNFINISHED]
            else:
                shown = [job for job, _ in zip(jobs, range(requests.DEFAULT_LIMIT), strict=False)]
            summaries = tuple(summary_of(job) for job in shown)
            yield StreamReply(wire.WatchReply(0, 0, jobs=summaries))
            sequence = 0
            while True:
                job = self._board.job(await feed.next())
                sequence += 1
                yield StreamReply(_reply(sequence, job, changes=changes))

    async def cancel(self, caller: Caller, request: requests.CancelRequest) -> requests.CancelReply:
        with traced("Cancel", caller, request.request_id) as request_id:
            job = self._board.job(self._find(request.job_id))
            parts = self._parts_of(job, request.nodes)
            plain = requests.CancelRequest(job.job_id, None, request_id)
            waits = await self._command(
                [
                    Command(
                        0, site, job.job_id, _speaker(caller), cancel=replace(plain, nodes=nodes)
                    )
                    for site, nodes in parts.items()
                ]
            )
            job = self._board.job(job.job_id)
            named = [node for node in job.nodes if _is_in(node, parts)]
            cancelled = all(node.status == "cancelled" for node in named)
            message = f"job {job.job_id} is {job.status}"
            if waits:
                message += f"; the cancel waits for {', '.join(waits)}"
            return requests.CancelReply(job.job_id, job.status, cancelled, message, request_id)

    async def retry(self, caller: Caller, request: wire.RetryRequest) -> wire.StartReply:
        with traced("Retry", caller, request.request_id) as request_id:
            _check_login(request.login)
            job = self._board.job(self._find(request.job_id))
            with refusals(caller):
                key = start_key(caller.uid, request, caller.asked_by)
                if key is not None and await self._file.find_key(key) is not None:
                    return wire.StartReply(job, request_id)
            failed = [node for node in job.nodes if node.status in ("failed", "cancelled")]
            parts = self._parts_of(job, request.nodes)
            if request.nodes is None:  # sites at which all has succeeded have nothing to retry
                parts = {
                    site: None for site in parts if any(_is_in(one, {site: None}) for one in failed)
                }
            plain = replace(request, job_id=job.job_id, request_id=request_id, on_behalf_of=None)
            commands = [
                Command(0, site, job.job_id, _speaker(caller), retry=replace(plain, nodes=nodes))
                for site, nodes in parts.items()
            ]
            await self._command(commands, key)
            return wire.StartReply(self._board.job(job.job_id), request_id)

    async def _command(self, commands: Sequence[Command], key: StartKey | None = None) -> Names:
        """Stores commands, and waits a little for those of sites that are heard. Returns the sites
        that have not carried them out. Raises the error of the first that refuses one.
        """
        with refusals():
            commands = await self._file.add(commands, key=key) if commands else []
        self._on_commands()
        heard = [command for command in commands if self._board.is_heard(command.site)]
        with trio.move_on_after(_ANSWER):
            await self._board.carried_out(heard)
        waits = []
        for command in commands:
            state = self._board.state(command.job_id, command.site)
            if state is None or state.done < command.number:
                waits.append(command.site)
            elif state.answer is not None and state.answer.number == command.number:
                raise _error_of(state.answer)
        return waits

    def _parts_of(
        self, job: wire.Job, names: tuple[str, ...] | None
    ) -> dict[str, tuple[str, ...] | None]:
        """Returns the sites of a job, each with those of its nodes that are named, or with None for
        all. Raises `NodeNotFound`.
        """
        sites = self._board.asked[job.job_id].targets
        if names is None:
            return dict.fromkeys(sites)
        known = {name for node in job.nodes for name in (node.node, node.name)}
        for name in names:
            if name not in known:
                raise error(NodeNotFound(job.job_id, name[:80]))
        return dict(by_site(names))

    async def clusters(
        self, caller: Caller, request: knowledge.ClustersRequest
    ) -> knowledge.ClustersReply:
        found = self._board.clusters()
        if request.name is None:
            return knowledge.ClustersReply(tuple(replace(one, nodes=None) for one in found))
        name = request.name
        return knowledge.ClustersReply(
            tuple(
                one
                for one in found
                if name in (one.name, one.asked) or any(name == n.node for n in one.nodes or ())
            )
        )

    def _find(self, prefix: str) -> str:
        """Returns the id that begins with `prefix`. Raises `JobNotFound` and `InvalidRequest`."""
        found = self._board.find(prefix) if len(prefix) >= _SHORTEST_PREFIX else []
        if not found:
            raise error(JobNotFound(prefix[:_NAME_LENGTH]))
        if len(found) > 1 and prefix not in found:
            raise invalid("job_id", f"{len(found)} jobs begin with it; expected more of the id")
        return prefix if prefix in found else found[0]

    def _elsewhere(self, name: str, shape: MethodShape) -> AnyHandler:
        """Returns what answers a method that only the daemons of sites have."""

        def refusal(request: Any) -> VarlinkError:
            prefix = getattr(request, "job_id", None)
            if prefix is None:
                return error(NotAtHub(name, tuple(self._board.sites)))
            job_id = self._find(prefix)
            sites = []
            for site in self._board.asked[job_id].targets:
                state = self._board.state(job_id, site)
                local = f" (job {state.job.job_id})" if state and state.job else ""
                sites.append(f"{site}{local}")
            return error(NotAtHub(name, tuple(sites)))

        async def one(_caller: Caller, request: Any) -> Any:
            raise refusal(request)

        async def stream(_caller: Caller, request: Any) -> StreamReplies:
            raise refusal(request)
            yield

        @asynccontextmanager
        async def upgrade(_caller: Caller, request: Any) -> AsyncIterator[Upgrade]:
            raise refusal(request)
            yield

        return upgrade if shape.upgrade else stream if shape.streaming else one


def _reply(sequence: int, job: wire.Job, *, changes: bool) -> wire.WatchReply:
    reply = wire.WatchReply(sequence, 0)
    return replace(reply, change=change_of(job)) if changes else replace(reply, job=job)


def _error_of(answer: Answer) -> VarlinkError:
    """Returns the error with which a site has refused a command, if the interface has it."""
    kind = getattr(errors, answer.error, None)
    if isinstance(kind, type) and issubclass(kind, Struct):
        with suppress(msgspec.ValidationError):
            return error(msgspec.convert(answer.parameters, kind))
    return invalid("job_id", answer.text)


def _is_in(node: wire.Node, parts: dict[str, tuple[str, ...] | None]) -> bool:
    site, _, rest = node.node.partition("/")
    names = parts.get(site, ())
    name = (node.name or "").partition("/")[2]
    return names is None or rest in names or (bool(name) and name in names)


def _speaker(caller: Caller) -> str:
    """Returns the name that the sites are told."""
    if caller.asked_by is not None:
        return caller.asked_by
    try:
        return pwd.getpwuid(caller.uid).pw_name[:_NAME_LENGTH]
    except KeyError:
        return f"uid {caller.uid}"


def _check_login(login: Login | None) -> None:
    if login is None:
        return
    if login.password is not None:
        raise invalid("login.password", _NO_PASSWORD)
    if login.kept:
        raise invalid("login.kept", "no login is kept at the hub; expected a credential")


def _fits(job: wire.Job, which: JobFilter) -> bool:
    names = {name for node in job.nodes for name in (node.node, node.name)} | {*(job.targets or ())}
    return (
        which.status in (None, job.status)
        and which.kind in (None, job.kind)
        and (which.target is None or which.target in names)
        and (which.since is None or job.created_at >= which.since)
        and which.labels.items() <= (job.labels or {}).items()
    )
