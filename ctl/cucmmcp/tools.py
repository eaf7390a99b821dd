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
from subprocess import DEVNULL
from typing import Any, TypeAlias

import trio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from msgspec.structs import replace

from cucmctl.cli import exits
from cucmctl.mask.pieces import PieceMasking
from cucmctl.text import found_text, health_text, render
from cucmctl.text.remarks import remarks, short_names
from cucmd.job import work_request as works
from cucmd.protocol.cases import File, Match, Search
from cucmd.protocol.jobs import Job, JobSummary
from cucmd.protocol.knowledge import Cluster, Profile
from cucmd.protocol.requests import ListRequest
from cucmmcp.answers import Answer
from cucmtrio import Client, events

Texts: TypeAlias = Sequence[str]

# The most seconds of `wait`, and of a search. Clients of the protocol often give up after 60 s.
MOST_WAIT, _MOST_SEARCH = 50, 45
# The most matches or lines that are kept for a page, and nodes of a cluster in one item.
_MOST_KEPT, _MOST_NODES = 500, 10


@dataclass(frozen=True)
class Session:
    """Says for whom the tools are called."""

    client: Client  # calls the daemon, on behalf of the caller if there is one
    may_operate: bool = False
    masking: PieceMasking | None = None  # masks all answers; None if they are not masked
    export_folder: str = ""  # where exports are written; "" for nowhere
    environ: Mapping[str, str] | None = None  # of `cucmctl`, which exports; None for our own
    # Limits how many tools work at once. All callers of cucmweb share 24 connections.
    working: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(8))


Ctx: TypeAlias = Context[Session, Any]  # what the SDK gives a tool


def session_of(ctx: Ctx) -> Session:
    """Returns the session of a call."""
    session: Session = ctx.request_context.lifespan_context
    return session


async def clusters(ctx: Ctx, name: str | None = None, cursor: int = 0) -> Answer[Cluster]:
    """The clusters that are known. With the name of a cluster or of a node, also their nodes."""
    parts = [
        replace(one, nodes=(one.nodes or ())[at : at + _MOST_NODES] or None)
        for one in await session_of(ctx).client.clusters(name)
        for at in range(0, len(one.nodes or ()) or 1, _MOST_NODES)
    ]
    return Answer(items=parts)


async def profiles(ctx: Ctx, name: str | None = None, cursor: int = 0) -> Answer[Profile]:
    """Profiles: which logs to collect for a kind of trouble."""
    return Answer(items=await session_of(ctx).client.profiles(name))


async def jobs(ctx: Ctx, cursor: int = 0, **conditions: Any) -> Answer[JobSummary]:
    """Jobs, the newest first. target: a node or cluster. since: RFC 3339."""
    found, older = list[JobSummary](), 1
    while older and len(found) < cursor + 100:
        before = found[-1].job_id if found else None
        request = ListRequest(limit=100, before=before, **conditions)
        reply = await session_of(ctx).client.list_page(request)
        found, older = [*found, *reply.jobs], reply.older or 0
    return Answer(items=found[cursor:], first=cursor + 1, total=len(found) + older)


def _state(job: Job, says: Texts | None = None) -> Answer[str]:
    nodes = [name for node in job.nodes for name in (node.node, node.name) if name]
    lines = [line for line in render.show_job(job, datetime.now(UTC)) if line]
    return Answer(job_id=job.job_id, status=job.status, nodes=nodes, says=says, items=lines)


async def job(ctx: Ctx, job: str, cursor: int = 0) -> Answer[str]:
    """The state of a job and its nodes, with results, errors and advice, as lines of text."""
    return _state(await session_of(ctx).client.status(job))


def _logs(make: Callable[..., Any], profile: Any = None, paths: Any = None, **window: Any) -> Any:
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


def _start_command(kind: str, nodes: Texts, **what: Any) -> Texts:
    """Returns the command for `start`. Raises `TypeError` for an argument of another kind."""
    verb, make = WORKS[kind]
    make(**{name: value for name, value in what.items() if name != "credential"})
    words, lines = [*verb.split(), *nodes], what.pop("commands", ())
    for name, value in what.items():
        words += ["--path", *value] if name == "paths" else [f"--{name}", str(value)]
    rest = [word for line in lines for word in ("--then", *line.split())]
    return [*words, "--", *rest[1:]] if rest else words


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


async def files(
    ctx: Ctx, job: str, nodes: Texts | None = None, path: str = "", cursor: int = 0
) -> Answer[File]:
    """The files that a job has collected, and outputs of commands. path: a part of their path."""
    async with session_of(ctx).client.files(job, nodes) as received:
        found = [file async for file in received if path in file.path]
    return Answer(items=sorted(found, key=lambda file: (file.node, file.path)))


async def find(
    ctx: Ctx, job: str, *, nodes: Any = None, context: Any = None, cursor: int = 0, **search: Any
) -> Answer[Match]:
    """Find lines in all files of a job, in the order of time; also in packed files.

    Give one of text, regex, number (a directory number) and call_id (SIP). path: a part of the
    path. since, until: RFC 3339. context: lines around each. `missing` says what could not be
    searched; nothing can be said about that.
    """
    client = session_of(ctx).client
    whole, total, kept = await client.status(job), found_text.Total(), list[Match]()
    found = client.find(job, Search(**search), nodes=nodes, context=context)
    with trio.move_on_after(_MOST_SEARCH) as limit:
        async with found as replies:
            async for reply in replies:
                first = max(cursor - total.matches, 0)
                kept += (reply.matches or ())[first : first + _MOST_KEPT - len(kept)]
                total.add(reply)
    names = short_names(whole.nodes)
    missing = [*found_text.missing_parts(total, names), *total.not_followed]
    if limit.cancelled_caught:
        missing.insert(0, f"the search was stopped after {_MOST_SEARCH} s; narrow it")
    says = [found_text.searched(total), *found_text.followed_text(total.followed, names)]
    page: Any = {"items": kept, "first": cursor + 1, "total": total.matches}
    return Answer(job_id=whole.job_id, says=says, missing=missing, **page)


async def read(
    ctx: Ctx, *, job: str, node: str, path: str, member: str | None = None, cursor: int = 0
) -> Answer[str]:
    """Read lines of a file of a job, unpacked, or of the output of a command, with their numbers.

    node, path, member: as files or find gave them. The path "transcript" is the dialogue with the
    node. cursor: how many lines to skip.
    """
    client, lines, total = session_of(ctx).client, dict[int, str](), 0
    with trio.move_on_after(_MOST_SEARCH) as limit:
        if path == "transcript":
            async with client.transcript(job, node) as pieces:
                lines = dict(enumerate("".join([one async for one in pieces]).splitlines(), 1))
            total = len(lines)
        else:
            # The daemon reads files, in a confined process, because strangers have made them. A
            # path that is shown with escapes cannot be searched for, so all paths are compared.
            search = Search(regex="^", path=None if "\\" in path else path)
            async with client.find(job, search, nodes=[node]) as replies:
                async for reply in replies:
                    for match in reply.matches or ():
                        if (match.path, match.member) == (path, member):
                            total = max(total, match.number)
                            if cursor < match.number <= cursor + _MOST_KEPT:
                                lines[match.number] = match.line
    if not total:
        raise ToolError(f"{path}: has no lines, or is no file of this node; see files")
    items = [f"{number}: {lines[number]}" for number in sorted(lines) if number > cursor]
    missing = [f"reading was stopped after {_MOST_SEARCH} s"] if limit.cancelled_caught else None
    return Answer(missing=missing, items=items, first=cursor + 1, total=total)


async def health(ctx: Ctx, job: str, cursor: int = 0) -> Answer[str]:
    """What a health check has found that is not good, as lines of text."""
    whole = health_text.complete(await session_of(ctx).client.status(job))
    lines, unread = list(health_text.lines(whole)), health_text.WORDS["unread"][0]
    missing = [f"{node.full_name} has no result" for node in whole.nodes if node.health is None]
    lacks = [node for node in whole.nodes if node.status != "succeeded" or node.gaps]
    missing += remarks(replace(whole, nodes=tuple(lacks)))
    missing += [line.strip() for line in lines if line.strip().startswith(unread)]
    state = _state(whole, says=[health_text.verdict(whole)])
    return replace(state, missing=missing, items=lines)


async def export(ctx: Ctx, job: str, nodes: Texts = ()) -> Answer[str]:
    """Write a masked zip of a job into the folder for exports, for the person to hand over."""
    session = session_of(ctx)
    if not session.export_folder:
        raise ToolError("no folder for exports (export_folder) is configured here")
    job = (await session.client.status(job)).job_id
    file = os.path.join(session.export_folder, f"{job}.zip")
    command = [sys.executable, "-P", "-m", "cucmctl", "--socket", session.client.socket]
    command += _export_command(job, nodes, file)
    done = await trio.run_process(
        command, stdout=DEVNULL, capture_stderr=True, check=False, env=session.environ
    )
    said = done.stderr.decode(errors="replace").splitlines()
    if done.returncode not in (exits.DONE, exits.PARTIAL):
        raise ToolError("; ".join(said))
    return Answer(job_id=job, says=said, items=[file])


def _export_command(job: str, nodes: Texts = (), file: str = "") -> Texts:
    chosen = [f"--node={node}" for node in nodes]
    return ["export", job, "--mask", "-o", file or f"{job}.zip", *chosen]


# What changes something -> the command that does the same.
COMMANDS: dict[Callable[..., Any], Callable[..., Texts]] = {
    start: _start_command,
    cancel: lambda job, nodes=(): ["cancel", job, *nodes],
    export: _export_command,
}
