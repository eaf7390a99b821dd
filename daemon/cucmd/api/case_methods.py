"""Answers the calls of `io.cucmd.Jobs` about the files and outputs of jobs.

A call that deletes or retries a job ends the calls here that read the job. Export and Verify are in
export_methods.py.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from cucmd.api.refusals import refusals, refusals_of_files
from cucmd.api.request_checks import MOST_LISTED, check_named, prune_rule
from cucmd.api.wire import file_to_wire, summary_to_wire
from cucmd.cases.files import file_pages, is_directory_gone, node_folder, nodes_by_name
from cucmd.cases.output import (
    OutputFile,
    follow_outputs,
    list_outputs,
    read_output,
    read_transcript,
)
from cucmd.config import InvalidValue
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.jobs.deletion import Deletions
from cucmd.jobs.job_errors import FilesDeleted, JobInUse, position_of
from cucmd.jobs.supervisor import Supervisor
from cucmd.protocol import cases as wire
from cucmd.store import Store
from cucmd.toml_file import wrong_value
from cucmd.varlink import Caller, StreamReply
from cucmd.vos.arguments import InvalidArgument
from cucmd.vos.forms import MOST_READ, parse_command, take_parsable

log = logging.getLogger(__name__)
T = TypeVar("T")

# The reason that is sent instead of parsed fields if an output is so long that only its beginning
# could be parsed.
_TOO_LONG = "the output is too long to be parsed"


class CaseMethods:
    """Answers the calls that list, read or delete files and outputs of jobs."""

    def __init__(self, supervisor: Supervisor, store: Store, deletions: Deletions) -> None:
        self._supervisor = supervisor
        self._store = store
        self._holds = supervisor.holds
        self._deletions = deletions

    async def files(
        self, caller: Caller, request: wire.FilesRequest
    ) -> AsyncGenerator[StreamReply, None]:
        with refusals():
            job, names = await job_and_nodes(self._supervisor, request.job_id, request.nodes)
            nodes = nodes_by_name(job, names)
            reading = self._held(job, file_pages(self._store, job.job_id, nodes))
            async with aclosing(reading) as all_pages:
                async for page in all_pages:
                    files = tuple(file_to_wire(file, node, job.work) for file, node in page)
                    yield StreamReply(wire.FilesReply(files))
        yield StreamReply(wire.FilesReply(()), continues=False)

    async def output(
        self, caller: Caller, request: wire.OutputRequest
    ) -> AsyncGenerator[StreamReply, None]:
        with refusals_of_files():
            job, names = await job_and_nodes(self._supervisor, request.job_id, request.nodes)
            if not job.work.commands_kept:
                raise InvalidValue(
                    "job_id", wrong_value(job.job_id, "is no job that runs commands")
                )
            directory = self._supervisor.directory(job.job_id)
            if job.files_deleted or is_directory_gone(job, directory):
                raise FilesDeleted(job.job_id)
            nodes = tuple(nodes_by_name(job, names).values())
            outputs = self._growing if request.follow else self._outputs
            async with aclosing(self._held(job, outputs(job, nodes))) as pieces:
                async for piece in pieces:
                    yield StreamReply(wire.OutputReply(piece))
        yield StreamReply(wire.OutputReply(), continues=False)

    async def transcript(
        self, caller: Caller, request: wire.TranscriptRequest
    ) -> AsyncGenerator[StreamReply, None]:
        with refusals_of_files():
            job = await self._supervisor.find(request.job_id)
            node = job.nodes[position_of(job, request.node)]
            path = self._supervisor.directory(job.job_id) / node_folder(node) / "transcript.log"

            def grows() -> bool:
                return bool(request.follow) and self._works_on(job, node.node)

            async with aclosing(self._held(job, read_transcript(path, grows))) as pieces:
                async for text in pieces:
                    yield StreamReply(wire.TranscriptReply(text))
        yield StreamReply(wire.TranscriptReply(""), continues=False)

    async def delete(self, caller: Caller, request: wire.DeleteRequest) -> wire.DeleteReply:
        with refusals_of_files():
            record = not request.files_only
            deleted = await self._deletions.delete(request.job_id, record=record)
        what = "the job" if record else "its files"
        text = "job %s: %s deleted by %s"
        log.info(text, deleted.job.job_id, what, caller, extra=caller.for_log)
        return wire.DeleteReply(summary_to_wire(deleted.job), deleted.bytes)

    async def prune(self, caller: Caller, request: wire.PruneRequest) -> wire.PruneReply:
        with refusals_of_files():
            which = prune_rule(request)
            if request.dry_run:
                deleted = await self._deletions.list_prunable(which)
            else:
                deleted = await self._deletions.prune(which, f"by {caller}")
        jobs = tuple(summary_to_wire(each.job) for each in deleted[:MOST_LISTED])
        more = len(deleted) - len(jobs)
        return wire.PruneReply(jobs, sum(each.bytes for each in deleted), more)

    async def _held(self, job: Job, parts: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """Yields `parts` until the job is deleted or retried. A deletion does not wait for readers:
        otherwise a user of the view group could prevent it for ever, by reading again and again.

        Raises `JobInUse` while the job is deleted or retried, and afterwards `UnknownJob` or
        `FilesDeleted`.
        """
        async with aclosing(parts):
            while True:
                part = None
                with self._holds.reading_as_guest(job.job_id) as reading:
                    part = await anext(parts, None)
                if reading.cancel_called:  # a deleted file looks like a file that is at its end
                    raise JobInUse(job.job_id, "it is being deleted, or tried again")
                if part is None:
                    break
                yield part
        now = await self._supervisor.find(job.job_id)
        if now.files_deleted and not job.files_deleted:
            raise FilesDeleted(job.job_id)

    async def _outputs(
        self, job: Job, nodes: Sequence[Node]
    ) -> AsyncGenerator[wire.CommandOutput, None]:
        """Yields the outputs of these nodes that were kept so far."""
        directory = self._supervisor.directory(job.job_id)
        positions = {node.node: position for position, node in enumerate(job.nodes)}
        for node in nodes:
            run = self._supervisor.run_of(job.job_id)
            written = () if run is None else run.outputs_so_far(positions[node.node])
            for file in await list_outputs(self._store, job, node, directory, written=written):
                async with aclosing(self._pieces(job, node, file)) as pieces:
                    async for piece in pieces:
                        yield piece

    async def _pieces(
        self, job: Job, node: Node, file: OutputFile
    ) -> AsyncGenerator[wire.CommandOutput, None]:
        """Yields the output of one command in pieces. If this command has a parser, the last piece
        has the parsed fields of the whole output, or the reason why they are absent.
        """
        line = job.work.commands_kept[file.number - 1]
        try:
            parser = parse_command(line).parser
        except InvalidArgument:  # the command of a follow, which `parse_command` does not accept
            parser = None
        texts: list[str] = []
        length = 0
        async with aclosing(read_output(file.path)) as pieces:
            async for text, ended in pieces:
                length += len(text)
                if parser is not None and length <= MOST_READ:
                    texts.append(text)
                piece = wire.CommandOutput(node.node, file.number, line, text, ended, file.complete)
                if ended and parser is not None:
                    lines = "".join(texts).splitlines()
                    if length > MOST_READ or len(take_parsable(lines)) < len(lines):
                        piece = replace(piece, unparsed=_TOO_LONG)
                    else:
                        piece = replace(piece, parsed=msgspec.to_builtins(parser(lines)))
                yield piece

    async def _growing(
        self, job: Job, nodes: Sequence[Node]
    ) -> AsyncGenerator[wire.CommandOutput, None]:
        """Yields the kept outputs of nodes that have ended, then follows those of the others."""
        directory, lines = self._supervisor.directory(job.job_id), job.work.commands_kept
        run = self._supervisor.run_of(job.job_id)
        first_attempts = {} if run is None else run.first_attempts()  # of the nodes that run
        ended_nodes = [node for node in nodes if node.node not in first_attempts]
        async with aclosing(self._outputs(job, ended_nodes)) as kept:
            async for piece in kept:
                yield piece
        paths = {
            (node.node, number): directory / node_folder(node) / job.work.output_of(number, first)
            for node in nodes
            if (first := first_attempts.get(node.node)) is not None
            for number in range(1, len(lines) + 1)
        }
        async with aclosing(follow_outputs(paths, partial(self._works_on, job))) as pieces:
            async for (node, number), text, ended in pieces:
                path = paths[node, number]
                complete = False
                if ended:
                    now = await self._supervisor.find(job.job_id)
                    ended_node = nodes_by_name(now, (node,))[node]
                    found = await list_outputs(self._store, now, ended_node, directory)
                    complete = any(file.path == path and file.complete for file in found)
                line = lines[number - 1]
                yield wire.CommandOutput(node, number, line, text, ended, complete)

    def _works_on(self, job: Job, node: str) -> bool:
        run = self._supervisor.run_of(job.job_id)
        return run is not None and run.works_on(node)


async def job_and_nodes(
    supervisor: Supervisor, job_id: str, nodes: tuple[str, ...] | None
) -> tuple[Job, tuple[str, ...] | None]:
    """Returns a job, and the names of `nodes` as the job has them.

    Raises `InvalidValue`, `UnknownJob`, `AmbiguousJob`, `UnknownNode`, `StoreFailed`.
    """
    check_named(nodes, "all")
    job = await supervisor.find(job_id)
    if nodes is None:
        return job, None
    return job, tuple(job.nodes[position_of(job, name)].node for name in nodes)
