"""The tools, one method each. Their docstrings are written for the assistant.

A tool gets only the arguments that were given. It returns all its items, and answers.py shows those
of the page that `cursor` names. Only a tool that sets `total` returns those from the cursor on.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias, Unpack

import msgspec
import trio
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct
from msgspec.structs import replace

from cucmctl.cli import exits
from cucmctl.client.named_work import Kind, Values, named_work, start_command
from cucmctl.mask.pieces import PieceMasking
from cucmctl.text import found_text, health_text, kind_text, render
from cucmd.job.failure import Failure
from cucmd.job.work_request import Login
from cucmd.protocol.cases import File, Match, Search
from cucmd.protocol.jobs import Job, JobSummary
from cucmd.protocol.knowledge import Cluster, Profile
from cucmd.protocol.requests import ListRequest
from cucmmcp.answers import MOST_ITEMS, Answer
from cucmtrio import Client, events
from cucmtrio.cucmctl_process import run_cucmctl

Text: TypeAlias = str | None
Texts: TypeAlias = Sequence[str] | None
Cursor: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

# The most seconds of `wait`, and of a search. Clients of the protocol often give up after 60 s.
MOST_WAIT, _MOST_SEARCH = 50, 45
_MOST_NODES = 10  # of a cluster in one item


class NodeState(Struct):
    """Shows a node of a job. All members but `results` are those of `Node`."""

    node: str
    status: str
    phase: str | None
    failure: Failure | None
    notes: Sequence[str]
    files_received: int
    bytes_received: int
    name: str | None = None
    coverage: str | None = None
    results: Sequence[str] = ()


@dataclass(frozen=True)
class Tools:
    """Answers the calls of tools, with the rights of one caller."""

    client: Client  # calls the daemon, on behalf of the caller if there is one
    may_operate: bool = False
    masking: PieceMasking | None = None  # masks all answers; None if they are not masked
    export_folder: str = ""  # where exports are written; "" for nowhere
    # Limits how many tools work at once. All callers of cucmweb share 24 connections.
    working: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(8))

    async def clusters(self, name: Text = None, cursor: Cursor = 0) -> Answer[Cluster]:
        """Known clusters. With the name of a cluster or of a node, also their nodes."""
        parts = [
            replace(one, nodes=(one.nodes or ())[at : at + _MOST_NODES] or None)
            for one in await self.client.clusters(name)
            for at in range(0, len(one.nodes or ()) or 1, _MOST_NODES)
        ]
        return Answer(items=parts)

    async def profiles(self, name: Text = None, cursor: Cursor = 0) -> Answer[Profile]:
        """Profiles: which logs to collect for a kind of trouble."""
        return Answer(items=await self.client.profiles(name))

    async def jobs(
        self, kind: Text = None, target: Text = None, since: Text = None, cursor: Cursor = 0
    ) -> Answer[JobSummary]:
        """Jobs, the newest first. target: a node or cluster. since: RFC 3339."""
        asked = ListRequest(kind=kind, target=target, since=since, limit=100)
        found, older = list[JobSummary](), 1
        while older and len(found) < cursor + 100:
            reply = await self.client.list_page(asked)
            found, older = [*found, *reply.jobs], reply.older or 0
            asked = replace(asked, before=found[-1].job_id if found else None)
        return Answer(items=found[cursor:], total=len(found) + older)

    async def job(self, job: str, cursor: Cursor = 0) -> Answer[NodeState]:
        """The state of a job and its nodes, with results, errors and advice."""
        return _state(await self.client.status(job))

    async def start(
        self, kind: Kind, nodes: Sequence[str], credential: Text = None, **what: Unpack[Values]
    ) -> Answer[NodeState]:
        """Start a job on nodes or clusters, if the person allows it. It goes on by itself.

        collect, dry_run (sizes only): logs of a profile or of paths; last is "2h", since and until
        are RFC 3339. run: commands such as "show status". capture: packets of host or port;
        duration in seconds. credential: a name; by default that of the cluster.
        """
        login, work = Login(credential=credential), named_work(kind, **what)
        return _state(await self.client.start(nodes, work, login=login))

    async def wait(
        self, job: str, *, report: Callable[..., Awaitable[None]], seconds: int = MOST_WAIT
    ) -> Answer[NodeState]:
        """Wait until a job has ended, at most 50 seconds, and return its state."""
        with trio.move_on_after(min(max(seconds, 1), MOST_WAIT)):
            async with events(self.client, job, reconnect=MOST_WAIT, changes=False) as changes:
                async for event in changes:
                    if isinstance(event.job, Job):
                        nodes = event.job.nodes
                        ended = sum(node.completed_at is not None for node in nodes)
                        await report(ended, len(nodes), "nodes have ended")
        return _state(await self.client.status(job))

    async def cancel(self, job: str, nodes: Texts = None) -> Answer[NodeState]:
        """Cancel a job, or only some of its nodes, if the person allows it. Nothing is deleted."""
        reply = await self.client.cancel(job, nodes)
        return _state(await self.client.status(job), reply.message)

    async def files(
        self, job: str, nodes: Texts = None, path: str = "", cursor: Cursor = 0
    ) -> Answer[File]:
        """Files that a job has collected, and outputs of commands. path: a part of the path."""
        async with self.client.files(job, nodes) as received:
            found = [file async for file in received if path in file.path]
        return Answer(items=sorted(found, key=lambda file: (file.node, file.path)))

    async def find(
        self, job: str, nodes: Texts = None, context: int = 0, cursor: Cursor = 0, **search: Any
    ) -> Answer[Match]:
        """Find lines in all files of a job, in the order of time; also in packed files.

        Give one of text, regex, number (a directory number) and call_id (SIP). path: a part of the
        path. since, until: RFC 3339. context: lines around each. `missing` says what could not be
        searched; nothing can be said about that.
        """
        whole, total, kept = await self.client.status(job), found_text.Total(), list[Match]()
        found = self.client.find(job, Search(**search), nodes=nodes, context=context or None)
        with trio.move_on_after(_MOST_SEARCH) as limit:
            async with found as replies:
                async for reply in replies:
                    first = max(cursor - total.matches, 0)
                    kept += (reply.matches or ())[first : first + MOST_ITEMS - len(kept)]
                    total.add(reply)
        says, missing = found_text.summary(total, whole)
        if limit.cancelled_caught:
            missing.insert(0, f"the search was stopped after {_MOST_SEARCH} s; narrow it")
        return Answer(says=says, missing=missing, items=kept, total=total.matches)

    async def read(
        self, *, job: str, node: str, path: str, member: Text = None, cursor: Cursor = 0
    ) -> Answer[str]:
        """Read numbered lines of a file of a job, unpacked, or of the output of a command.

        node, path, member: as files or find gave them. The path "transcript" is the dialogue with
        the node. cursor: how many lines to skip.
        """
        lines, total = list[tuple[int, str]](), 0
        with trio.move_on_after(_MOST_SEARCH) as limit:
            if path == "transcript":
                async with self.client.transcript(job, node) as pieces:
                    text = "".join([piece async for piece in pieces])
                lines, total = [*enumerate(text.splitlines(), 1)][cursor:], len(text.splitlines())
            else:
                # The daemon reads files, in a confined process, because strangers have made them. A
                # path that is shown with escapes cannot be searched for: all paths are compared.
                search = Search(regex="^", path=None if "\\" in path else path)
                async with self.client.find(job, search, nodes=[node]) as replies:
                    async for reply in replies:
                        for match in reply.matches or ():
                            if (match.path, match.member) == (path, member):
                                total = max(total, match.number)
                                if cursor < match.number <= cursor + MOST_ITEMS:
                                    lines.append((match.number, match.line))
        if not total:
            raise ToolError(f"{path}: has no lines, or is no file of this node; see files")
        items = [f"{number}: {line}" for number, line in sorted(lines)]
        missing = [f"reading stopped after {_MOST_SEARCH} s"] if limit.cancelled_caught else None
        return Answer(missing=missing, items=items, total=total)

    async def health(self, job: str, cursor: Cursor = 0) -> Answer[health_text.NodeFinding]:
        """What a health check has found that is not good, the worst first."""
        whole = health_text.complete(await self.client.status(job))
        missing = [*health_text.missing_parts(whole)]
        return replace(_state(whole), missing=missing, items=health_text.wrong(whole))

    async def export(self, job: str, nodes: Texts = None) -> Answer[str]:
        """Write a masked zip of a job into the folder for exports, for the person to hand over."""
        if not self.export_folder:
            raise ToolError("no folder for exports (export_folder) is configured here")
        job = (await self.client.status(job)).job_id
        file = os.path.join(self.export_folder, f"{job}.zip")
        said = list[str]()
        code = await run_cucmctl(self.client, COMMANDS["export"](job, nodes, file), said.append)
        if code not in (exits.DONE, exits.PARTIAL):
            raise ToolError("; ".join(said))
        return Answer(says=said, items=[file])


def _state(job: Job, *says: str) -> Answer[Any]:
    text = kind_text.text_of(job)
    job = text.complete(job)
    states = [msgspec.convert(node, NodeState, from_attributes=True) for node in job.nodes]
    for node, state in zip(job.nodes, states, strict=True):
        state.results = [*kind_text.result_lines(node)]
    sentences = (part for part in text.parts(job) if isinstance(part, str))
    says = (*says, render.tally(job), *text.describe(job), *sentences)
    return Answer(job_id=job.job_id, status=job.status, says=says, items=states)


# What changes something -> the words behind `cucmctl` that do the same.
COMMANDS: dict[str, Callable[..., Sequence[str]]] = {
    "start": start_command,
    "cancel": lambda job, nodes=None: ["cancel", job, *(nodes or ())],
    "export": lambda job, nodes=None, file=None: [
        *("export", job, "--mask", "-o", file or f"{job}.zip"),
        *(f"--node={node}" for node in nodes or ()),
    ],
}
