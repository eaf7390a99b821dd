"""The tools, one function each. Their docstrings are written for the assistant."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import count
from math import inf
from subprocess import DEVNULL
from typing import Annotated, Any, Literal, TypeAlias

import trio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct, convert
from msgspec.structs import asdict, replace
from pydantic import Field

from cucmctl.cli import exits
from cucmctl.text import found_text, health_text
from cucmctl.text.remarks import short_names
from cucmd.job.failure import Failure
from cucmd.job.health import BAD, GOOD, UNREAD, Finding
from cucmd.job.kind import Result, WorkRequest
from cucmd.job.work import RESULT_MEMBERS
from cucmd.job.work_request import (
    Checks,
    Collection,
    Commands,
    Discovery,
    Estimate,
    HealthChecks,
    Login,
    Packets,
)
from cucmd.protocol.cases import File, Match, Search
from cucmd.protocol.jobs import Job, JobSummary
from cucmd.protocol.knowledge import Cluster, Profile
from cucmd.protocol.requests import CancelReply, ListRequest
from cucmmcp.answers import Page, fitting, page
from cucmmcp.masking import Masking
from cucmtrio import Client
from cucmtrio.events import events

Texts: TypeAlias = tuple[str, ...]
Kind = Literal["collect", "estimate", "check", "health", "commands", "discover", "capture"]

# Seconds that `wait` may take, and a search. Clients of the protocol often give up after 60 s.
_MOST_WAIT, _MOST_SEARCH = 50, 45
# Tools that work at once; clients of the HTTP server share 24 connections to the daemon.
_MOST_CALLS = 8
# The most matches of a page, the most lines, and the most nodes of a cluster in one item.
_MOST_MATCHES, _MOST_LINES, _MOST_NODES = 100, 1000, 30


@dataclass(frozen=True)
class Session:
    """Says for whom the tools are called.

    may_operate    whether tools that change something may be called
    masking        masks all answers; None if they are not masked
    export_folder  where exports are written; "" for nowhere
    working        limits how many tools work at once
    """

    client: Client
    may_operate: bool = False
    masking: Masking | None = None
    export_folder: str = ""
    working: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(_MOST_CALLS))


# What the SDK gives a tool.
Ctx: TypeAlias = Context[Session, Any]


def session_of(ctx: Ctx) -> Session:
    """Returns the session of a call."""
    session: Session = ctx.request_context.lifespan_context
    return session


async def clusters(ctx: Ctx, name: str = "", cursor: str = "") -> Page[Cluster]:
    """The clusters that are known. With the name of a cluster or of a node, also their nodes."""
    items = [
        replace(one, nodes=(one.nodes or ())[at : at + _MOST_NODES] or None)
        for one in await session_of(ctx).client.clusters(name or None)
        for at in range(0, len(one.nodes or ()) or 1, _MOST_NODES)
    ]
    return Page(**page(items, cursor, "name"))


async def profiles(ctx: Ctx, name: str = "", cursor: str = "") -> Page[Profile]:
    """Profiles: which logs to collect for a kind of trouble."""
    return Page(**page(await session_of(ctx).client.profiles(name or None), cursor, "name"))


async def jobs(
    ctx: Ctx, kind: str = "", target: str = "", since: str = "", cursor: str = ""
) -> Page[JobSummary]:
    """Jobs, the newest first. target: a node or cluster. since: RFC 3339."""
    conditions = _given(kind=kind, target=target, since=since, before=cursor)
    reply = await session_of(ctx).client.list_page(ListRequest(limit=100, **conditions))
    shown = fitting(reply.jobs)
    if not (older := len(reply.jobs) - len(shown) + (reply.older or 0)):
        return Page(items=shown)
    left_out = f"{older:,} older jobs; go on with cursor, or narrow by kind, target or since"
    return Page(items=shown, left_out=left_out, next=shown[-1].job_id)


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


class JobState(Page[NodeState], kw_only=False):
    """A job and its nodes. Those that have not succeeded come first."""

    job_id: str
    kind: str
    status: str
    created_at: str
    nodes: str


def _state(job: Job, cursor: str = "") -> JobState:
    nodes = []
    for node in sorted(job.nodes, key=lambda node: node.status == "succeeded"):
        results = (getattr(node, member) for member in RESULT_MEMBERS.values())
        says = [line for one in results if isinstance(one, Result) for line in one.summary_lines()]
        state = convert(node, NodeState, from_attributes=True)
        nodes.append(replace(state, notes=(*says, *node.notes)))
    counts = Counter(node.status for node in job.nodes)
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    items = page(nodes, cursor, "nothing: nodes that have not succeeded come first")
    head = job.job_id, job.kind, job.status, job.created_at.isoformat(), summary
    return JobState(*head, **items)


async def job(ctx: Ctx, job: str, cursor: str = "") -> JobState:
    """The state of a job and its nodes, with errors, advice and results."""
    return _state(await session_of(ctx).client.status(job), cursor)


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
    seconds: int = 0,
    credential: str = "",
) -> JobState:
    """Start a job on nodes or clusters, if the person allows it. It goes on by itself: see wait.

    collect, estimate: logs of a profile or of paths; last is "2h", since and until are RFC 3339.
    commands: such as "show status". capture: packets of host or port, for so many seconds.
    credential: a name; by default that of the cluster.
    """
    window = _given(profile=profile, paths=paths, last=last, since=since, until=until)
    packets = Packets(**_given(host=host, port=port, duration=seconds))
    works: dict[Kind, WorkRequest | Collection] = {
        "collect": Collection(**window),
        "estimate": Estimate(Collection(**window)),
        "check": Checks(),
        "health": HealthChecks(),
        "commands": Commands(commands),
        "discover": Discovery(),
        "capture": packets,
    }
    login = Login(**_given(credential=credential))
    return _state(await session_of(ctx).client.start(nodes, works[kind], login=login))


def start_command(kind: Kind, nodes: Texts, **given: Any) -> Sequence[str]:
    """Returns the command for `start`. Raises `ToolError` for an argument of another kind."""
    verb, wanted = _VERBS.get(kind, (kind, ""))
    words = [*verb.split(), *nodes]
    commands = given.pop("commands")
    for name, value in _given(**given).items():
        if name not in f"{wanted} credential".split():
            raise ToolError(f"{name}: is not for kind {kind}; leave it out")
        option = {"paths": "--path", "seconds": "--duration"}.get(name, f"--{name}")
        words += [option, *value] if name == "paths" else [option, str(value)]
    if bool(commands) != (kind == "commands"):
        raise ToolError("commands: are for kind commands, which needs them")
    lines = [word for line in commands for word in ("--then", *line.split())]
    return [*words, "--", *lines[1:]] if lines else words


# kind -> the verb of `cucmctl`, and the arguments of `start` that belong to the kind
_WINDOW = "profile paths last since until"
_VERBS = {
    "collect": ("start", _WINDOW),
    "estimate": ("start --dry-run", _WINDOW),
    "commands": ("run", ""),
    "capture": ("capture", "host port seconds"),
}


async def wait(ctx: Ctx, job: str, seconds: int = _MOST_WAIT) -> JobState:
    """Wait until a job has ended, at most 50 seconds, and return its state. Reports progress."""
    client = session_of(ctx).client
    with trio.move_on_after(min(max(seconds, 1), _MOST_WAIT)):
        async with events(client, job, reconnect=_MOST_WAIT, changes=False) as job_events:
            async for event in job_events:
                if event.job is not None:
                    nodes = getattr(event.job, "nodes", ())
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
) -> Page[File]:
    """The files that a job has collected, and outputs of commands. path: a part of their path."""
    async with session_of(ctx).client.files(job, nodes or None) as received:
        found = [file async for file in received if path in file.path]
    found.sort(key=lambda file: (file.node, file.path))
    return Page(**page(found, cursor, "nodes or path"))


class Found(Page[Match], kw_only=False):
    """What was found, and what is missing and could not be searched."""

    matches: int
    files: int
    missing: Sequence[str]
    followed: Sequence[str] | None = None


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
) -> Found:
    """Find lines in all files of a job, in the order of time; also in packed files.

    Give one of text, regex, number (a directory number) and call_id (SIP). path: a part of the
    path. since, until: RFC 3339. context: lines around each. `missing` says what could not be
    searched; nothing can be said about that.
    """
    client = session_of(ctx).client
    whole = await client.status(job)
    times = _given(since=since, until=until)
    words = _given(text=text, regex=regex, number=number, call_id=call_id)
    search = Search(**words, **times, **_given(ignore_case=ignore_case, path=path))
    total, names = found_text.Total(), short_names(whole.nodes)
    # The matches of one page are those with the smallest keys behind the cursor. Many are kept
    # before they are sorted, because sorting after each match would take too long.
    begin, skipped = _position(cursor)
    kept: list[Match] = []
    earlier, ended = skipped, False
    with trio.move_on_after(_MOST_SEARCH):
        found = client.find(whole.job_id, search, nodes=nodes or None, context=context)
        async with found as replies:
            async for reply in replies:
                total.add(reply)
                later = [match for match in reply.matches or () if _time(match) >= begin]
                earlier += len(reply.matches or ()) - len(later)
                kept += later
                if len(kept) > 2 * (skipped + _MOST_MATCHES):
                    kept = nsmallest(skipped + _MOST_MATCHES, kept, _key)
                await ctx.report_progress(total.files, message="files searched")
        ended = True
    kept = nsmallest(skipped + _MOST_MATCHES, kept, _key)[skipped:]
    shown = fitting(kept)
    missing = [*found_text.missing_texts(total.missing, names)]
    missing += [f"{one.path} of {one.name or one.node} {one.reason}" for one in total.unread]
    missing += total.not_followed
    if not ended:
        missing.insert(0, f"the search was stopped after {_MOST_SEARCH} s; narrow it")
    left_out = following = None
    last = earlier + len(shown)
    if len(shown) < total.matches:
        left_out = f"matches {earlier + 1:,} to {last:,} of {total.matches:,}"
        if last < total.matches:
            moments = [_time(match) for match in kept[: len(shown)]]
            before = skipped if moments[-1] == begin else 0
            following = f"{moments[-1]}+{before + moments.count(moments[-1])}"
            left_out += "; go on with cursor, or narrow by nodes, path, since or until"
    followed = tuple(found_text.followed_text(total.followed, names)) or None
    counts = total.matches, total.files
    return Found(*counts, missing, followed, items=shown, left_out=left_out, next=following)


def _time(match: Match) -> float:
    return inf if match.time is None else match.time.timestamp()


def _key(match: Match) -> tuple[float, str, str, str, int]:
    return _time(match), match.node, match.path, match.member or "", match.number


def _position(cursor: str) -> tuple[float, int]:
    """Reads the cursor of `find`: a time, and how many matches of this time were shown."""
    try:
        begin, _, skipped = cursor.partition("+")
        return (float(begin), int(skipped)) if cursor else (-inf, 0)
    except ValueError:
        raise ToolError(f"cursor: {cursor!r} is none; give `next` of the answer before") from None


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
    first: Annotated[int, Field(ge=1)] = 1,
    lines: Annotated[int, Field(ge=1, le=_MOST_LINES)] = 200,
) -> Page[Line]:
    """Read lines of a file of a job, unpacked, or of the output of a command.

    node, path, member: as files or find gave them. The path "transcript" is the dialogue with the
    node. first: the number of the first line.
    """
    client = session_of(ctx).client
    found: dict[int, str] = {}
    wanted = range(first, first + lines)
    number, more = 0, "more than "
    with trio.move_on_after(_MOST_SEARCH):
        if path == "transcript":
            async with client.transcript(job, node) as pieces:
                every = "".join([piece async for piece in pieces]).splitlines()
            number, found = len(every), dict(enumerate(every[first - 1 : wanted.stop - 1], first))
        else:
            # The daemon reads files, in a confined process, because strangers have made them. A
            # path that is shown with escapes cannot be searched for, so all paths are compared.
            search = Search(regex="^", path=None if "\\" in path else path)
            async with client.find(job, search, nodes=[node]) as replies:
                async for reply in replies:
                    here = (m for m in reply.matches or () if m.path == path)
                    for match in (m for m in here if (m.member or "") == member):
                        number = max(number, match.number)
                        if match.number in wanted:
                            found[match.number] = match.line
        more = ""
    if not found:
        says = f"{more}{number:,} lines" if number else "no lines, or is no file of this node"
        raise ToolError(f"{path}: has {says}; see files")
    shown = fitting([Line(*line) for line in sorted(found.items())])
    last, left_out = shown[-1].number, None
    if len(shown) < number:
        left_out = f"lines {shown[0].number:,} to {last:,} of {more}{number:,}"
        if last < number:
            left_out += f"; go on with first={last + 1}, or narrow with find"
    return Page(items=shown, left_out=left_out)


def _gaps(job: Job) -> list[str]:
    """Says what is missing of the logs of a job: nodes that failed, and gaps of the coverage."""
    missing = []
    if job.coverage_pending:
        missing.append("what the files cover is not known yet; ask again in a minute")
    for node in job.nodes:
        if node.status != "succeeded":
            why = node.error or node.phase or "nothing came yet"
            missing.append(f"{node.full_name}: {node.status}: {why}")
        elif node.gaps:
            missing.append(f"{node.full_name}: {node.coverage}")
    return missing


class NodeFinding(Finding, kw_only=True, frozen=True):
    """What a check has found on a node."""

    node: str


class Findings(Page[NodeFinding], kw_only=False):
    """What is not good. good: the number of checks that are. missing: what is not known."""

    job_id: str
    status: str
    summary: str
    good: int
    missing: Sequence[str]


async def health(ctx: Ctx, job: str = "", target: str = "", cursor: str = "") -> Findings:
    """What a health check has found, the worst first; by default the newest check of target."""
    client = session_of(ctx).client
    if not job:
        newest = await client.list(kind="health", target=target or None, limit=1)
        if not newest:
            raise ToolError("there is no such health check; start one with kind health")
        job = newest[0].job_id
    whole = health_text.complete(await client.status(job))
    missing, findings, good = _gaps(whole), [], 0
    for node in whole.nodes:
        if node.health is None and node.status == "succeeded":
            missing.append(f"{node.full_name}: its health was not checked")
        for one in node.health.findings if node.health else ():
            good += one.state == GOOD
            if one.state == UNREAD:
                missing.append(f"{node.full_name}: {one.check}: {one.says}")
            if one.state != GOOD:
                findings.append(NodeFinding(**asdict(one), node=node.full_name))
    findings.sort(key=lambda one: (one.state != BAD, one.state == UNREAD))
    verdict = health_text.verdict(whole)
    items = page(findings, cursor, "target")
    return Findings(whole.job_id, whole.status, verdict, good, missing, **items)


class Exported(Struct):
    """A file that was written here, and what was masked."""

    file: str
    says: Sequence[str]


async def export(ctx: Ctx, job: str, nodes: Texts = ()) -> Exported:
    """Write a masked zip of a job into the folder for exports, for the person to hand over."""
    session = session_of(ctx)
    if not session.export_folder:
        raise ToolError("no export_folder is configured; see cucmmcp(1)")
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
    return Exported(file, says)


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
