"""Reads the time stamps in the files of closed jobs, and stores how much of the window they cover.

A failure here affects neither the daemon nor a job nor another node.

    a job is closed     `queue`: the job is read in the background
    a job is exported   `wait_for_coverage`: waits for the reading, for a limited time
    a job is deleted,   `cancel`: the reading ends at once
    or retried
    a restart           jobs whose reading was interrupted are read when a client asks for them

A few jobs are read at the same time, and a few nodes of each. Each node has a process of its own
(`reading/`), which may take processor time in proportion to the bytes that the node has sent. A
cancel kills the process.

The process reads the beginning of each complete file for which `is_counted` (`files.py`) is true.
It reads a file to its end if the trace ends there, or if the next file does not follow by its name.
The result for each node is one line of text, a list of gaps, and what each log covers. If the files
of a node cannot be read, the line says so, and they are not read again.

People wait for the results, so those that are there are stored after one second, then after two
more, and so on: a node whose files take long delays no other node, and the store does not have to
write a job of hundreds of nodes hundreds of times.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import trio
from msgspec.structs import replace

from cucmd.cases.files import file_pages, is_counted, is_directory_gone, is_output, name_on_node
from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.job.coverage import (
    MOST_GAPS,
    MOST_LOGS,
    MOST_SPANS,
    MOST_SPANS_OF_NODE,
    Covered,
)
from cucmd.job.duration import next_written_for
from cucmd.job.job import Job
from cucmd.job.node import SETTLED, Failed, Node, Succeeded
from cucmd.store import Store, StoreFailed
from cucmd.worker.frames import ProcessLimits, ReadTraces, TracePage, TracesRead
from cucmd.worker.process import Cause, WorkerEnded
from cucmd.worker.workers import Workers

log = logging.getLogger(__name__)
# The role of such a process, for `Workers.forked`.
TRACES = "traces"
# Seconds after which the first results of a job are stored. Each further pause is twice as long.
_FIRST_STORED = 1.0
# At most _JOBS jobs are read at the same time, and _NODES nodes of each job. At most _PROCESSES
# processes run for all jobs. The nodes wait for a process in a queue.
_JOBS, _NODES, _PROCESSES = 8, 2, max(2, os.cpu_count() or 1)
# A process gets _SECONDS of processor time, plus one second for each _BYTES_A_SECOND bytes that the
# node has sent, and _MEMORY bytes of memory. This is enough for real logs: they are compressed to a
# tenth of their size, seldom to a thirtieth, and an archive is unpacked twice. It stops hostile
# files: a hundred files of half a megabyte, each of which unpacks to 540 MB, would take a minute.
_SECONDS, _BYTES_A_SECOND = 10, 5_000_000
_MEMORY = 512 * 1024**2
# The most files in one frame. A frame has each path twice, and even the longest paths must fit.
_IN_A_FRAME = 500
# How often the files of a node are read if the process is killed, for example because memory is
# short.
_MOST_ATTEMPTS = 2
# The most characters of the text and the names in gaps, and of the name of a log.
_MOST_TEXT, _MOST_NAME = 4000, 100

_UNKNOWN = {
    Cause.LOST: "coverage unknown: no process could be had to read its files, or it was killed",
    Cause.TIME: "coverage unknown: reading its files takes longer than logs of this size can",
    Cause.MEMORY: "coverage unknown: reading its files takes more memory than logs can",
    Cause.WRONG: "coverage unknown: a defect of cucmd; its log has the details",
}
_ANSWER = msgspec.msgpack.Decoder(TracesRead)


class CoverageReader:
    """Reads the traces of closed jobs. `run` needs a task of its own."""

    def __init__(self, store: Store, directory: Callable[[str], Path], workers: Workers) -> None:
        self._store = store
        self._directory = directory
        self._workers = workers
        self._process_limit = trio.CapacityLimiter(_PROCESSES)
        # By job id. A job that was retried and closed while its reading was ending is in both.
        self._waiting: dict[str, _JobReading] = {}
        self._reading: dict[str, _JobReading] = {}
        self._changed = trio.Event()

    def queue(self, job_id: str) -> None:
        """Queues a closed job. Does not block."""
        if job_id not in self._waiting:
            self._waiting[job_id] = _JobReading()
            self._changed.set()

    def cancel(self, job_id: str) -> None:
        """Ends the reading of a job that is about to change. Does not block."""
        if (waiting := self._waiting.pop(job_id, None)) is not None:
            waiting.ended.set()
        if (reading := self._reading.get(job_id)) is not None:
            reading.scope.cancel()

    def queue_if_missing(self, job: Job) -> None:
        """Queues a job for which a client asks, unless it was read already. Does not block."""
        if job.closed and job.coverage_pending and job.job_id not in self._reading:
            self.queue(job.job_id)

    async def wait_for_coverage(self, job: Job, seconds: float) -> Job:
        """Waits until the traces of a closed job were read, for at most `seconds`.

        Returns the job as it is then. Raises `StoreFailed`.
        """
        self.queue_if_missing(job)
        if (waiting := self._waiting.pop(job.job_id, None)) is not None:  # move it to the front
            self._waiting = {job.job_id: waiting, **self._waiting}
        known = {**self._reading, **self._waiting}  # if a job is in both, its reading was cancelled
        if not job.coverage_pending or job.job_id not in known:
            return job
        with trio.move_on_after(seconds):
            await known[job.job_id].ended.wait()
        return await self._store.load(job.job_id) or job

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                ready = (job_id for job_id in self._waiting if job_id not in self._reading)
                if len(self._reading) < _JOBS and (job_id := next(ready, None)) is not None:
                    reading = self._reading[job_id] = self._waiting.pop(job_id)
                    nursery.start_soon(self._keep, job_id, reading)
                else:
                    self._changed = trio.Event()
                    await self._changed.wait()

    async def _keep(self, job_id: str, reading: _JobReading) -> None:
        try:
            with reading.scope, _failures_logged(job_id):
                await self._read(job_id)
        finally:
            del self._reading[job_id]
            reading.ended.set()
            self._changed.set()

    async def _read(self, job_id: str) -> None:
        job = await self._store.load(job_id)
        if job is None or not job.closed or not isinstance(job.work, Collect):
            return
        directory = self._directory(job_id)
        if job.files_deleted or is_directory_gone(job, directory):
            return
        covered_by_node: dict[str, Covered] = {}  # what is not stored yet
        remaining = iter([node for node in job.nodes if node.coverage is None])

        async def read_nodes() -> None:
            with _failures_logged(job_id):
                for node in remaining:
                    covered_by_node[node.node] = await self._coverage_of(job, node, directory)

        async def store() -> None:
            if found := dict(covered_by_node):
                await self._store.change(job_id, partial(add_coverage, job, found))
                for name in found:
                    del covered_by_node[name]

        async def store_meanwhile() -> None:
            pause = _FIRST_STORED
            with _failures_logged(job_id):
                while True:
                    await trio.sleep(pause)
                    await store()
                    pause *= 2

        async with trio.open_nursery() as storing:
            storing.start_soon(store_meanwhile)
            async with trio.open_nursery() as readers:
                for _ in range(min(_NODES, len(job.nodes))):
                    readers.start_soon(read_nodes)
            storing.cancel_scope.cancel()
        await store()

    async def _coverage_of(self, job: Job, node: Node, directory: Path) -> Covered:
        """Returns the coverage of a node, which may be "unknown". Raises `StoreFailed`."""
        remaining = _MOST_ATTEMPTS
        while True:
            remaining -= 1
            try:
                return await self._read_in_process(job, node, directory)
            except WorkerEnded as error:
                if error.cause is Cause.LOST and remaining:
                    continue
                text = "job %s, %s: what its files cover is not known: %s"
                log.warning(text, job.job_id, node.node, error)
                return Covered(_UNKNOWN[error.cause])

    async def _read_in_process(self, job: Job, node: Node, directory: Path) -> Covered:
        work, state = job.work, node.state
        assert isinstance(work, Collect)
        # Whether the node was asked for every path, and has sent all files that it has.
        was_asked = isinstance(state, Succeeded) or (
            isinstance(state, Failed) and state.failure.code == Code.NO_FILES_MATCHED
        )
        longer_by_path = [
            next_written_for(work.written_for_of(path), work.until, state.started_at)
            if was_asked and work.until is not None and state.started_at is not None
            else None
            for path in work.paths
        ]
        asked = ReadTraces(
            directory=str(directory),
            by=latest_stamp(node),
            zone=node.zone,
            ahead=node.clock_ahead,
            since=work.since,
            until=work.until,
            paths=work.paths,
            longer=tuple(longer_by_path),
            unverified=work.unverified,
            recurs=work.recurs,
            asked=was_asked,
        )
        seconds = _SECONDS + node.bytes_received // _BYTES_A_SECOND
        limits = ProcessLimits(memory=_MEMORY, seconds=seconds)
        node_pages = file_pages(self._store, job.job_id, {node.node: node})
        async with (
            self._process_limit,
            self._workers.forked(TRACES, directory, limits) as worker,
            aclosing(node_pages) as all_pages,
        ):
            await worker.send(asked)
            async for page in all_pages:
                files = [
                    (file.path, name_on_node(file.path, node))
                    for file, _ in page
                    if file.complete and is_counted(file, node, work) and not is_output(file, node)
                ]
                for position in range(0, len(files), _IN_A_FRAME):
                    await worker.send(TracePage(tuple(files[position : position + _IN_A_FRAME])))
            await worker.send(TracePage(()))
            covered = (await worker.receive(_ANSWER)).covered
        if not is_plausible(covered):
            raise WorkerEnded(Cause.WRONG, "its answer is larger than any real one")
        return covered


def latest_stamp(node: Node) -> datetime:
    """Returns the latest possible time stamp of the node's files, by its clock, or in UTC."""
    state = node.state
    ended = state.completed_at if isinstance(state, SETTLED) else datetime.now(UTC)
    by = ended + max(timedelta(seconds=node.clock_ahead), timedelta())
    return by.astimezone(UTC).replace(tzinfo=None)


def is_plausible(covered: Covered) -> bool:
    """Returns whether an answer can come from a process that works as it should.

    Hostile bytes may have taken over the process, and the answer is stored and shown to users.
    Moments in the first and the last year of the calendar have no local time.
    """
    traces = sum(len(gap.trace or "") for gap in covered.gaps)
    spans = [span for log in covered.logs for span in log.spans]
    moments = [moment for gap in covered.gaps for moment in (gap.at, gap.until)]
    moments += [moment for span in spans for moment in (span.begin, span.end)]
    return (
        len(covered.text) + traces <= _MOST_TEXT
        and len(covered.gaps) <= MOST_GAPS
        and len(covered.logs) <= MOST_LOGS
        and all(len(log.log) <= _MOST_NAME for log in covered.logs)
        and all(len(log.spans) <= MOST_SPANS for log in covered.logs)
        and len(spans) <= MOST_SPANS_OF_NODE
        and all(moment is None or 1 < moment.year < 9999 for moment in moments)
    )


def add_coverage(before: Job, coverage: dict[str, Covered], now: Job) -> Job:
    """Returns the job with the coverage of each node that has not changed meanwhile.

    Nothing is added if the job was retried or its files were deleted meanwhile, because some of the
    files may have been gone when they were read.
    """
    if not now.closed or now.files_deleted:
        return now
    nodes = tuple(
        new.with_coverage(coverage[new.node]) if new.node in coverage and new == old else new
        for old, new in zip(before.nodes, now.nodes, strict=True)
    )
    return replace(now, nodes=nodes)


class _JobReading:
    """Holds the cancel scope in which the files of a job are read.

    ended: set when the reading has ended, also if it was cancelled or never began.
    """

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.scope = trio.CancelScope()


@contextmanager
def _failures_logged(job_id: str) -> Iterator[None]:
    try:
        yield
    except StoreFailed as error:
        log.error("job %s: what its files cover is not known: %s", job_id, error)  # noqa: TRY400  of the disk
    except Exception:
        log.exception("job %s: what its files cover is not known: a defect", job_id)
