"""The tools, one function each. Their docstrings are written for the assistant."""

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from subprocess import DEVNULL
from typing import Annotated, Any, Literal, TypeAlias

import trio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct, convert
from msgspec.structs import asdict, replace
from pydantic import Field

from cucmctl.cli import exits
from cucmctl.cli.printer import visible
from cucmctl.mask.pieces import PieceMasking
from cucmctl.text import found_text, health_text
from cucmctl.text.remarks import short_names
from cucmd.job import work_request as works
from cucmd.job.failure import Failure
from cucmd.job.health import BAD, GOOD, UNREAD, Finding
from cucmd.job.kind import Result
from cucmd.job.work import RESULT_MEMBERS
from cucmd.protocol.cases import File, Match, Search
from cucmd.protocol.jobs import Job, JobSummary
from cucmd.protocol.knowledge import Cluster, Profile
from cucmd.protocol.requests import CancelReply, ListRequest
from cucmmcp.answers import Answer, begin_of, page
from cucmtrio import Client
from cucmtrio.events import events

Texts: TypeAlias = tuple[str, ...]
Kind = Literal["collect", "estimate", "check", "health", "commands", "discover", "capture"]

# The most seconds of `wait`, and of a search. Clients of the protocol often give up after 60 s.
MOST_WAIT, _MOST_SEARCH = 50, 45
# Tools that work at once; the callers of cucmweb share 24 connections to the daemon.
_MOST_CALLS = 8
# The most matches that are kept for a page, and the most nodes of a cluster in one item.
_MOST_MATCHES, _MOST_NODES = 100, 30


@dataclass(frozen=True)
class Session:
    """Says for whom the tools are called.

    client         calls the daemon, on behalf of the caller if there is one
    may_operate    whether tools that change something may be called
    masking        masks all answers; None if they are not masked
    export_folder  where exports are written; "" for nowhere
    working        limits how many tools work at once
    """

    client: Client
    may_operate: bool = False
    masking: PieceMasking | None = None
    export_folder: str = ""
    working: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(_MOST_CALLS))


# What the SDK gives a tool.
Ctx: TypeAlias = Context[Session, Any]


def session_of(ctx: Ctx) -> Session:
    """Returns the session of a call."""
    session: Session = ctx.request_context.lifespan_context
    return session


async def clusters(ctx: Ctx, name: str = "", cursor: str = "") -> Answer[Cluster]:
    """The clusters that are known. With the name of a cluster or of a node, also their nodes."""
    found = [
        replace(one, nodes=(one.nodes or ())[at : at + _MOST_NODES] or None)
        for one in await session_of(ctx).client.clusters(name or None)
        for at in range(0, len(one.nodes or ()) or 1, _MOST_NODES)
    ]
    return Answer(**page(found, "clusters", "name", cursor))


async def profiles(ctx: Ctx, name: str = "", cursor: str = "") -> Answer[Profile]:
    """Profiles: which logs to collect for a kind of trouble."""
    found = await session_of(ctx).client.profiles(name or None)
    return Answer(**page(found, "profiles", "name", cursor))


async def jobs(
    ctx: Ctx, kind: str = "", target: str = "", since: str = "", cursor: str = ""
) -> Answer[JobSummary]:
    """Jobs, the newest first. target: a node or cluster. since: RFC 3339."""
    conditions = _given(kind=kind, target=target, since=since, before=cursor)
    reply = await session_of(ctx).client.list_page(ListRequest(limit=100, **conditions))
    total = len(reply.jobs) + (reply.older or 0)
    shown = page(reply.jobs, "jobs", "kind, target or since", total=total)
    if shown.get("next"):
        shown["next"] = shown["items"][-1].job_id
    return Answer(**shown)


class NodeState(Struct):
    """What is told of a node of a job. The members are those of `Node`; notes has results too."""

    node: str
    status: str
    files_received: int
    bytes_received: int
    notes: Sequence[str]
    name: str | None = None
    phase: str | None = None
    error: str | None = None
    failure: Failure | None = None
    coverage: str | None = None


def _state(job: Job, cursor: str = "") -> Answer[NodeState]:
    nodes = []
    for node in sorted(job.nodes, key=lambda node: node.status == "succeeded"):
        results = (getattr(node, member) for member in RESULT_MEMBERS.values())
        says = [line for one in results if isinstance(one, Result) for line in one.summary_lines()]
        state = convert(node, NodeState, from_attributes=True)
        nodes.append(replace(state, notes=(*says, *node.notes)))
    counts = Counter(node.status for node in job.nodes)
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    says = [f"{job.kind}, created {job.created_at.isoformat()}: {summary}"]
    shown = page(nodes, "nodes", "nothing: those that have not succeeded come first", cursor)
    return Answer(job_id=job.job_id, status=job.status, says=says, **shown)


async def job(ctx: Ctx, job: str, cursor: str = "") -> Answer[NodeState]:
    """The state of a job and its nodes, with errors, advice and results."""
    return _state(await session_of(ctx).client.status(job), cursor)


# kind -> the verb of `cucmctl`, and the struct of what is asked
_WORKS: dict[Kind, tuple[str, type[Struct]]] = {
    "collect": ("start", works.Collection),
    "estimate": ("start --dry-run", works.Collection),
    "check": ("check", works.Checks),
    "health": ("health", works.HealthChecks),
    "commands": ("run", works.Commands),
    "discover": ("discover", works.Discovery),
    "capture": ("capture", works.Packets),
}


async def start(
    ctx: Ctx,
    *,
    kind: Kind,
    nodes: Texts,
    profile: str = "",
    paths: Texts = (),
    last: str = "",
    since: str = "",
    until: str = "",
    commands: Texts = (),
    host: str = "",
    port: int = 0,
    duration: int = 0,
    credential: str = "",
) -> Answer[NodeState]:
    """Start a job on nodes or clusters, if the person allows it. It goes on by itself: see wait.

    collect, estimate: logs of a profile or of paths; last is "2h", since and until are RFC 3339.
    commands: such as "show status". capture: packets of host or port; duration in seconds.
    credential: a name; by default that of the cluster.
    """
    window = _given(profile=profile, paths=paths, last=last, since=since, until=until)
    other = _given(lines=commands, host=host, port=port, duration=duration)
    work: Any = _WORKS[kind][1](**window, **other)
    login = works.Login(**_given(credential=credential))
    asked = works.Estimate(work) if kind == "estimate" else work
    return _state(await session_of(ctx).client.start(nodes, asked, login=login))


def start_command(kind: Kind, nodes: Texts, **given: Any) -> Sequence[str]:
    """Returns the command for `start`. Raises `ToolError` for an argument of another kind."""
    verb, asked = _WORKS[kind]
    words, commands = [*verb.split(), *nodes], given.pop("commands")
    for name, value in _given(**given).items():
        if name not in (*asked.__struct_fields__, "credential"):
            raise ToolError(f"{name}: is not for kind {kind}; leave it out")
        words += ["--path", *value] if name == "paths" else [f"--{name}", str(value)]
    if bool(commands) != (kind == "commands"):
        raise ToolError("commands: are for kind commands, which needs them")
    lines = [word for line in commands for word in ("--then", *line.split())]
    return [*words, "--", *lines[1:]] if lines else words


async def wait(ctx: Ctx, job: str, seconds: int = MOST_WAIT) -> Answer[NodeState]:
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


async def cancel(ctx: Ctx, job: str, nodes: Texts = ()) -> CancelReply:
    """Cancel a job, or only some of its nodes, if the person allows it. Nothing is deleted."""
    return await session_of(ctx).client.cancel(job, nodes or None)


def cancel_command(job: str, nodes: Texts) -> Sequence[str]:
    return ["cancel", job, *nodes]


async def files(
    ctx: Ctx, job: str, nodes: Texts = (), path: str = "", cursor: str = ""
) -> Answer[File]:
    """The files that a job has collected, and outputs of commands. path: a part of their path."""
    async with session_of(ctx).client.files(job, nodes or None) as received:
        found = [file async for file in received if path in file.path]
    found.sort(key=lambda file: (file.node, file.path))
    return Answer(**page(found, "files", "nodes or path", cursor))


async def find(
    ctx: Ctx,
    *,
    job: str,
    text: str = "",
    regex: str = "",
    number: str = "",
    call_id: str = "",
    ignore_case: bool = False,
    nodes: Texts = (),
    path: str = "",
    since: str = "",
    until: str = "",
    context: Annotated[int, Field(ge=0, le=20)] = 0,
    cursor: str = "",
) -> Answer[Match]:
    """Find lines in all files of a job, in the order of time; also in packed files.

    Give one of text, regex, number (a directory number) and call_id (SIP). path: a part of the
    path. since, until: RFC 3339. context: lines around each. `missing` says what could not be
    searched; nothing can be said about that.
    """
    client = session_of(ctx).client
    whole = await client.status(job)
    words = _given(text=text, regex=regex, number=number, call_id=call_id, path=path)
    search = Search(**words, **_given(ignore_case=ignore_case, since=since, until=until))
    total, names = found_text.Total(), short_names(whole.nodes)
    begin, kept = begin_of(cursor), list[Match]()
    with trio.move_on_after(_MOST_SEARCH) as limit:
        found = client.find(whole.job_id, search, nodes=nodes or None, context=context)
        async with found as replies:
            async for reply in replies:
                first = max(begin - total.matches, 0)
                kept += (reply.matches or ())[first : first + _MOST_MATCHES - len(kept)]
                total.add(reply)
                await ctx.report_progress(total.files, message="files searched")
    missing = [*found_text.missing_parts(total, names), *total.not_followed]
    if limit.cancelled_caught:
        missing.insert(0, f"the search was stopped after {_MOST_SEARCH} s; narrow it")
    says = [found_text.searched(total), *found_text.followed_text(total.followed, names)]
    shown = page(kept, "matches", "nodes, path, since or until", cursor, total.matches)
    return Answer(job_id=whole.job_id, says=says, missing=missing, **shown)


class Line(Struct):
    """A line of a file."""

    number: int
    text: str


async def read(
    ctx: Ctx,
    *,
    job: str,
    node: str,
    path: str,
    member: str = "",
    first: Annotated[int, Field(ge=1, le=999_999_999)] = 1,
    lines: Annotated[int, Field(ge=1, le=1000)] = 200,
    cursor: str = "",
) -> Answer[Line]:
    """Read lines of a file of a job, unpacked, or of the output of a command; 200 by default.

    node, path, member: as files or find gave them. The path "transcript" is the dialogue with the
    node. first: the number of the first line.
    """
    client = session_of(ctx).client
    begin = begin_of(cursor) or first - 1
    found, number = list[Line](), 0
    with trio.move_on_after(_MOST_SEARCH) as limit:
        if path == "transcript":
            async with client.transcript(job, node) as pieces:
                every = "".join([piece async for piece in pieces]).splitlines()
            number = len(every)
            found = [Line(*line) for line in enumerate(every[begin : begin + lines], begin + 1)]
        else:
            # The daemon reads files, in a confined process, because strangers have made them. A
            # path that is shown with escapes cannot be searched for, so all paths are compared.
            search = Search(regex="^", path=None if "\\" in path else path)
            async with client.find(job, search, nodes=[node]) as replies:
                async for reply in replies:
                    for match in reply.matches or ():
                        if (match.path, match.member or "") == (path, member):
                            number = max(number, match.number)
                            if begin < match.number <= begin + lines:
                                found.append(Line(match.number, match.line))
    if not number:
        raise ToolError(f"{path}: has no lines, or is no file of this node; see files")
    found.sort(key=lambda line: line.number)
    missing = [f"reading was stopped after {_MOST_SEARCH} s"] if limit.cancelled_caught else None
    shown = page(found, "lines", "find", str(begin), number)
    return Answer(missing=missing, **shown)


def _gaps(job: Job) -> list[str]:
    """Says what is missing of a job: nodes that failed or were not checked, and gaps of files."""
    missing = []
    for node in job.nodes:
        if node.status != "succeeded":
            missing.append(f"{node.full_name}: {node.status}: {node.error or node.phase or ''}")
        elif node.gaps or node.health is None:
            missing.append(f"{node.full_name}: {node.coverage or 'its health was not checked'}")
    return missing


class NodeFinding(Finding, kw_only=True, frozen=True):
    """What a check has found on a node."""

    node: str


async def health(
    ctx: Ctx, job: str = "", target: str = "", cursor: str = ""
) -> Answer[NodeFinding]:
    """What a health check has found that is not good, the worst first; by default the newest check
    of target.
    """
    client = session_of(ctx).client
    if not job:
        newest = await client.list(kind="health", target=target or None, limit=1)
        if not newest:
            raise ToolError("there is no such health check; start one with kind health")
        job = newest[0].job_id
    whole = health_text.complete(await client.status(job))
    found = [
        NodeFinding(**asdict(one), node=node.full_name)
        for node in whole.nodes
        for one in (node.health.findings if node.health else ())
    ]
    unread = [f"{one.node}: {one.check}: {one.says}" for one in found if one.state == UNREAD]
    wrong = [one for one in found if one.state != GOOD]
    wrong.sort(key=lambda one: (one.state != BAD, one.state == UNREAD))
    good = f"{len(found) - len(wrong)} findings are good"
    says, missing = [health_text.verdict(whole), good], [*_gaps(whole), *unread]
    shown = page(wrong, "findings", "target", cursor)
    return Answer(job_id=job, status=whole.status, says=says, missing=missing, **shown)


async def export(ctx: Ctx, job: str, nodes: Texts = ()) -> Answer[str]:
    """Write a masked zip of a job into the folder for exports, for the person to hand over."""
    session = session_of(ctx)
    if not session.export_folder:
        typed = visible(shlex.join(["cucmctl", *export_command(job, nodes)]))
        raise ToolError(f"no export_folder is configured here; a person can type: {typed}")
    job = (await session.client.status(job)).job_id
    file = f"{session.export_folder}/{job}.zip"
    verb = [word.replace(f"{job}.zip", file) for word in export_command(job, nodes)]
    command = [sys.executable, "-m", "cucmctl", "--socket", session.client.socket, *verb]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_report_seconds, ctx)
        done = await trio.run_process(
            command, stdin=DEVNULL, capture_stdout=True, capture_stderr=True, check=False
        )
        nursery.cancel_scope.cancel()
    says = done.stderr.decode(errors="replace").splitlines()
    if done.returncode not in (exits.DONE, exits.PARTIAL):
        raise ToolError("; ".join(says))
    return Answer(job_id=job, says=says, items=[file])


def export_command(job: str, nodes: Texts) -> Sequence[str]:
    chosen = [word for node in nodes for word in ("--node", node)]
    return ["export", job, "--mask", "-o", f"{job}.zip", *chosen]


async def _report_seconds(ctx: Ctx) -> None:
    """Reports progress, so that the client goes on to wait."""
    for seconds in count(step=5):
        await ctx.report_progress(seconds, message="seconds")
        await trio.sleep(5)


def _given(**values: Any) -> dict[str, Any]:
    """Returns the arguments that are not empty, which is how an assistant leaves them out."""
    return {name: value for name, value in values.items() if value}
