"""The tools, one function each. Their docstrings are written for the assistant.

A tool gets only the arguments that were given. It returns all its items, and answers.py shows those
of the page that `cursor` names. Only a tool that sets `total` returns those from the cursor on.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from subprocess import DEVNULL
from typing import Any, TypeAlias

import trio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct
from msgspec.structs import replace

from cucmctl.cli import exits
from cucmctl.mask.pieces import PieceMasking
from cucmctl.text import found_text, health_text, render
from cucmctl.text.remarks import short_names
from cucmd.job import work_request as works
from cucmd.job.health import UNREAD
from cucmd.protocol.cases import File, Match, Search
from cucmd.protocol.jobs import Job, JobSummary
from cucmd.protocol.knowledge import Cluster, Profile
from cucmd.protocol.requests import ListRequest
from cucmmcp.answers import Answer
from cucmtrio import Client, events

Texts: TypeAlias = Sequence[str]

# The most seconds of `wait`, and of a search. Clients of the protocol often give up after 60 s.
MOST_WAIT, _MOST_SEARCH = 50, 45
# Tools that work at once; the callers of cucmweb share 24 connections to the daemon.
_MOST_CALLS = 8
# The most jobs, matches or lines that are kept for a page, and nodes of a cluster in one item.
_MOST_KEPT, _MOST_NODES = 500, 10


@dataclass(frozen=True)
class Session:
    """Says for whom the tools are called.

    client         calls the daemon, on behalf of the caller if there is one
    may_operate    whether tools that change something may be called
    masking        masks all answers; None if they are not masked
    export_folder  where exports are written; "" for nowhere
    environ        the environment of the `cucmctl` that exports; None for that of this process
    working        limits how many tools work at once
    """

    client: Client
    may_operate: bool = False
    masking: PieceMasking | None = None
    export_folder: str = ""
    environ: Mapping[str, str] | None = None
    working: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(_MOST_CALLS))


# What the SDK gives a tool.
Ctx: TypeAlias = Context[Session, Any]


def session_of(ctx: Ctx) -> Session:
    """Returns the session of a call."""
    session: Session = ctx.request_context.lifespan_context
    return session


async def clusters(ctx: Ctx, name: str | None = None, cursor: int = 0) -> Answer[Cluster]:
    """The clusters that are known. With the name of a cluster or of a node, also their nodes."""
    found = [
        replace(one, nodes=(one.nodes or ())[at : at + _MOST_NODES] or None)
        for one in await session_of(ctx).client.clusters(name)
        for at in range(0, len(one.nodes or ()) or 1, _MOST_NODES)
    ]
    return Answer(items=found)


async def profiles(ctx: Ctx, name: str | None = None, cursor: int = 0) -> Answer[Profile]:
    """Profiles: which logs to collect for a kind of trouble."""
    return Answer(items=await session_of(ctx).client.profiles(name))


async def jobs(ctx: Ctx, cursor: int = 0, **conditions: Any) -> Answer[JobSummary]:
    """Jobs, the newest first. target: a node or cluster. since: RFC 3339."""
    found, older = list[JobSummary](), 1
    request: Any = ListRequest(limit=100, **conditions)
    while older and len(found) < cursor + 100:
        reply = await session_of(ctx).client.list_page(request)
        found += reply.jobs
        older = reply.older or 0
        request = replace(request, before=found[-1].job_id if found else None)
    return Answer(items=found[cursor:], first=cursor + 1, total=len(found) + older)


def _state(job: Job, says: Texts | None = None) -> Answer[str]:
    nodes = [name for node in job.nodes for name in (node.node, node.name) if name]
    lines = [line for line in render.show_job(job, datetime.now(UTC)) if line]
    return Answer(job_id=job.job_id, status=job.status, nodes=nodes, says=says, items=lines)


async def job(ctx: Ctx, job: str, cursor: int = 0) -> Answer[str]:
    """The state of a job and its nodes, with results, errors and advice, as lines of text."""
    return _state(await session_of(ctx).client.status(job))


def _logs(
    make: Callable[..., Any], profile: str | None = None, paths: Any = None, **window: Any
) -> Any:
    # As in `cucmctl`, paths are added to those of a profile.
    own, added = (None, paths) if profile else (paths, None)
    return make(works.Collection(profile, own, **window), added_paths=added)


# kind -> the verb of `cucmctl`, and what makes the request from the arguments for this kind
WORKS: dict[str, tuple[str, Callable[..., Any]]] = {
    "collect": ("start", partial(_logs, works.Files)),
    "dry_run": ("start --dry-run", partial(_logs, works.Estimate)),
    "check": ("check", works.Checks),
    "health": ("health", works.HealthChecks),
    "run": ("run", lambda commands: works.Commands(tuple(commands))),
    "discover": ("discover", works.Discovery),
    "capture": ("capture", works.Packets),
}


async def start(
    ctx: Ctx, kind: str, nodes: Texts, credential: str | None = None, **what: Any
) -> Answer[str]:
    """Start a job on nodes or clusters, if the person allows it. It goes on by itself: see wait.

    collect, dry_run (sizes only): logs of a profile or of paths; last is "2h", since and until are
    RFC 3339. run: commands such as "show status". capture: packets of host or port; duration in
    seconds. credential: a name; by default that of the cluster.
    """
    login, work = works.Login(credential=credential), WORKS[kind][1](**what)
    return _state(await session_of(ctx).client.start(nodes, work, login=login))


def start_command(
    kind: str, nodes: Texts, credential: str | None = None, **what: Any
) -> Sequence[str]:
    """Returns the command for `start`. Raises `TypeError` for an argument of another kind."""
    verb, make = WORKS[kind]
    make(**what)
    words = [*verb.split(), *nodes, *([f"--credential={credential}"] if credential else ())]
    lines = [word for line in what.pop("commands", ()) for word in ("--then", *line.split())]
    for name, value in what.items():
        words += ["--path", *value] if name == "paths" else [f"--{name}", str(value)]
    return [*words, "--", *lines[1:]] if lines else words


async def wait(ctx: Ctx, job: str, seconds: int = MOST_WAIT) -> Answer[str]:
    """Wait until a job has ended, at most 50 seconds, and return its state. Reports progress."""
    client = session_of(ctx).client
    with trio.move_on_after(min(max(seconds, 1), MOST_WAIT)):
        async with events(client, job, reconnect=MOST_WAIT, changes=False) as job_events:
            async for event in job_events:
                if isinstance(event.job, Job):
                    nodes = event.job.nodes
                    ended = sum(node.completed_at is not None for node in nodes)
                    await ctx.report_progress(ended, len(nodes), "nodes have ended")
    return _state(await client.status(job))


async def cancel(ctx: Ctx, job: str, nodes: Texts | None = None) -> Answer[str]:
    """Cancel a job, or only some of its nodes, if the person allows it. Nothing is deleted."""
    client = session_of(ctx).client
    reply = await client.cancel(job, nodes)
    return _state(await client.status(job), [reply.message])


def cancel_command(job: str, nodes: Texts = ()) -> Sequence[str]:
    return ["cancel", job, *nodes]


async def files(
    ctx: Ctx, job: str, nodes: Texts | None = None, path: str = "", cursor: int = 0
) -> Answer[File]:
    """The files that a job has collected, and outputs of commands. path: a part of their path."""
    async with session_of(ctx).client.files(job, nodes) as received:
        found = [file async for file in received if path in file.path]
    return Answer(items=sorted(found, key=lambda file: (file.node, file.path)))


async def find(
    ctx: Ctx,
    job: str,
    nodes: Texts | None = None,
    context: int | None = None,
    cursor: int = 0,
    **search: Any,
) -> Answer[Match]:
    """Find lines in all files of a job, in the order of time; also in packed files.

    Give one of text, regex, number (a directory number) and call_id (SIP). path: a part of the
    path. since, until: RFC 3339. context: lines around each. `missing` says what could not be
    searched; nothing can be said about that.
    """
    client = session_of(ctx).client
    whole = await client.status(job)
    total, names, kept = found_text.Total(), short_names(whole.nodes), list[Match]()
    with trio.move_on_after(_MOST_SEARCH) as limit:
        found = client.find(job, Search(**search), nodes=nodes, context=context)
        async with found as replies:
            async for reply in replies:
                first = max(cursor - total.matches, 0)
                kept += (reply.matches or ())[first : first + _MOST_KEPT - len(kept)]
                total.add(reply)
                await ctx.report_progress(total.files, message="files searched")
    missing = [*found_text.missing_parts(total, names), *total.not_followed]
    if limit.cancelled_caught:
        missing.insert(0, f"the search was stopped after {_MOST_SEARCH} s; narrow it")
    says = [found_text.searched(total), *found_text.followed_text(total.followed, names)]
    page: Any = {"items": kept, "first": cursor + 1, "total": total.matches}
    return Answer(job_id=whole.job_id, says=says, missing=missing, **page)


class Line(Struct):
    """A line of a file."""

    number: int
    text: str


async def read(  # noqa: PLR0917  the SDK passes them by name
    ctx: Ctx, job: str, node: str, path: str, member: str | None = None, cursor: int = 0
) -> Answer[Line]:
    """Read lines of a file of a job, unpacked, or of the output of a command.

    node, path, member: as files or find gave them. The path "transcript" is the dialogue with the
    node. cursor: how many lines to skip.
    """
    client, found, number = session_of(ctx).client, list[Line](), 0
    with trio.move_on_after(_MOST_SEARCH) as limit:
        if path == "transcript":
            async with client.transcript(job, node) as pieces:
                every = "".join([piece async for piece in pieces]).splitlines()
            number = len(every)
            found = [Line(*line) for line in enumerate(every[cursor:], cursor + 1)]
        else:
            # The daemon reads files, in a confined process, because strangers have made them. A
            # path that is shown with escapes cannot be searched for, so all paths are compared.
            search = Search(regex="^", path=None if "\\" in path else path)
            async with client.find(job, search, nodes=[node]) as replies:
                async for reply in replies:
                    for match in reply.matches or ():
                        if (match.path, match.member) == (path, member):
                            number = max(number, match.number)
                            if cursor < match.number <= cursor + _MOST_KEPT:
                                found.append(Line(match.number, match.line))
    if not number:
        raise ToolError(f"{path}: has no lines, or is no file of this node; see files")
    found.sort(key=lambda line: line.number)
    missing = [f"reading was stopped after {_MOST_SEARCH} s"] if limit.cancelled_caught else None
    return Answer(missing=missing, items=found, first=cursor + 1, total=number)


async def health(
    ctx: Ctx, job: str | None = None, target: str | None = None, cursor: int = 0
) -> Answer[str]:
    """What a health check has found that is not good, as lines of text; by default the newest check
    of target.
    """
    client = session_of(ctx).client
    if job is None:
        newest = await client.list(kind="health", target=target, limit=1)
        if not newest:
            raise ToolError("there is no such health check; start one with kind health")
        job = newest[0].job_id
    whole, missing = health_text.complete(await client.status(job)), list[str]()
    for node in whole.nodes:
        if node.status != "succeeded" or node.health is None or node.gaps:
            why = node.error or node.coverage or "was not checked"
            missing.append(f"{node.full_name} ({node.status}): {why}")
        unread = [one for one in node.health.findings if one.state == UNREAD] if node.health else ()
        missing += [f"{node.full_name}: {one.check}: {one.says}" for one in unread]
    state = _state(whole, says=[health_text.verdict(whole)])
    return replace(state, missing=missing, items=list(health_text.lines(whole)))


async def export(ctx: Ctx, job: str, nodes: Texts = ()) -> Answer[str]:
    """Write a masked zip of a job into the folder for exports, for the person to hand over."""
    session = session_of(ctx)
    if not session.export_folder:
        raise ToolError("no folder for exports (export_folder) is configured here")
    job = (await session.client.status(job)).job_id
    file = os.path.join(session.export_folder, f"{job}.zip")
    command = [sys.executable, "-P", "-m", "cucmctl", "--socket", session.client.socket]
    command += export_command(job, nodes, file)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_report_seconds, ctx)
        done = await trio.run_process(
            command, stdout=DEVNULL, capture_stderr=True, check=False, env=session.environ
        )
        nursery.cancel_scope.cancel()
    said = done.stderr.decode(errors="replace").splitlines()
    if done.returncode not in (exits.DONE, exits.PARTIAL):
        raise ToolError("; ".join(said))
    return Answer(job_id=job, says=said, items=[file])


def export_command(job: str, nodes: Texts = (), file: str = "") -> Sequence[str]:
    chosen = [f"--node={node}" for node in nodes]
    return ["export", job, "--mask", "-o", file or f"{job}.zip", *chosen]


async def _report_seconds(ctx: Ctx) -> None:
    """Reports progress, so that the client goes on to wait."""
    for seconds in count(step=5):
        await ctx.report_progress(seconds, message="seconds")
        await trio.sleep(5)
