"""Reads the time stamps of what a job has collected, once it is closed, and keeps what they cover.

It works only while the daemon has time, and nothing fails because of it: not the daemon, not
another job, not another node.

    a job is closed     `want`: it is read in the background
    it is exported      `with_coverage`: waits for that, for a limited time
    it is deleted, or   `drop`: the reading ends at once
    tried again
    a restart           what it has interrupted is read once somebody asks for the job

Some jobs are read at a time, and some nodes of each, each by a process of its own (`reading/`). It
may take processor time in proportion to what the node has sent, and a cancel kills it.

Files that are complete and count are read (`files.py`): the beginning of each, and of each trace
the last file to its end. The result is one line for each node, in the store; of what could not be
read it says so, and that is not read again.
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

from cucmd.cases.files import counts, is_gone, is_output, name_of, pages
from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.job.coverage import MOST_GAPS, Covered, Extent
from cucmd.job.duration import next_written_for
from cucmd.job.job import Job
from cucmd.job.node import SETTLED, Failed, Node, Succeeded
from cucmd.store import Store, StoreFailed
from cucmd.worker.frames import ProcessLimits, ReadTraces, TracePage, TracesRead
from cucmd.worker.process import Cause, WorkerEnded
from cucmd.worker.workers import Workers

log = logging.getLogger(__name__)
# What such a process does, by which the first process knows it.
TRACES = "traces"
# Jobs that are read at a time, nodes of each, and processes of all, which take turns.
_JOBS, _NODES, _PROCESSES = 8, 2, max(2, os.cpu_count() or 1)
# What a process may take: so many seconds of the processor, and one for so many bytes that the node
# has sent; bytes of memory. Logs pack to a tenth, now and then to a thirtieth, and an archive is
# unpacked twice. A hundred files of half a megabyte that unpack to 540 MB each would take a minute.
_SECONDS, _BYTES_A_SECOND = 10, 5_000_000
_MEMORY = 512 * 1024**2
# Files in one frame, of which each has its path twice: less than MAX_FRAME also with the longest.
_IN_A_FRAME = 500
# How often a node is read whose process was killed, by whom ever.
_TRIES = 2
_MOST_TEXT = 4000
# Seconds after which the nodes that were read are saved, where others of the job take longer.
_SAVED_EVERY = 5.0
# Jobs that wait to be read; those that do not fit are read when somebody asks for them.
_MOST_WAITING = 1000

_UNKNOWN = {
    Cause.LOST: "coverage unknown: no process could be had to read its files, or it was killed",
    Cause.TIME: "coverage unknown: reading its files takes longer than logs of this size can",
    Cause.MEMORY: "coverage unknown: reading its files takes more memory than logs can",
    Cause.WRONG: "coverage unknown: a defect of cucmd; its log has the details",
}
_READ = msgspec.msgpack.Decoder(TracesRead)


def has_coverage(job: Job) -> bool:
    """Says whether the time stamps of all nodes have been looked at. Other work has no traces."""
    return not isinstance(job.work, Collect) or all(node.coverage is not None for node in job.nodes)


class Coverage:
    """Reads the traces of closed jobs, see the top of this file. `run` is to be started in a task
    of its own.
    """

    def __init__(self, store: Store, directory: Callable[[str], Path], workers: Workers) -> None:
        self._store = store
        self._directory = directory
        self._workers = workers
        self._room = trio.CapacityLimiter(_PROCESSES)
        # By job. One that is closed again while it is being read is in both.
        self._waiting: dict[str, _JobReading] = {}
        self._reading: dict[str, _JobReading] = {}
        self._news = trio.Event()

    def want(self, job_id: str) -> None:
        """Queues the job, which is closed. Never waits."""
        if job_id not in self._waiting and len(self._waiting) < _MOST_WAITING:
            self._waiting[job_id] = _JobReading()
            self._news.set()

    def drop(self, job_id: str) -> None:
        """The job is about to change: nothing of it is read any more. Never waits."""
        if (waiting := self._waiting.pop(job_id, None)) is not None:
            waiting.ended.set()
        if (reading := self._reading.get(job_id)) is not None:
            reading.scope.cancel()

    def want_if_missing(self, job: Job) -> None:
        """Somebody looks at the job: it is read if that was not done, as after a restart."""
        missing = job.closed and not job.files_deleted and not has_coverage(job)
        if missing and job.job_id not in self._reading:
            self.want(job.job_id)

    async def with_coverage(self, job: Job, seconds: float) -> Job:
        """Waits for what the closed job's traces cover; returns it with what is known by then.

        Raises `StoreFailed`.
        """
        self.want_if_missing(job)
        if (waiting := self._waiting.pop(job.job_id, None)) is not None:  # it is the next one
            self._waiting = {job.job_id: waiting, **self._waiting}
        known = {**self._reading, **self._waiting}  # of a job in both, the reading was ended
        if has_coverage(job) or job.job_id not in known:
            return job
        with trio.move_on_after(seconds):
            await known[job.job_id].ended.wait()
        return await self._store.load(job.job_id) or job  # of some nodes it may be known by now

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                while (job_id := self._next()) is None:
                    self._news = trio.Event()
                    await self._news.wait()
                reading = self._reading[job_id] = self._waiting.pop(job_id)
                nursery.start_soon(self._keep, job_id, reading)

    def _next(self) -> str | None:
        if len(self._reading) >= _JOBS:
            return None
        return next((job_id for job_id in self._waiting if job_id not in self._reading), None)

    async def _keep(self, job_id: str, reading: _JobReading) -> None:
        try:
            with reading.scope, _logged(job_id):
                await self._read(job_id)
        finally:
            del self._reading[job_id]
            reading.ended.set()
            self._news.set()

    async def _read(self, job_id: str) -> None:
        job = await self._store.load(job_id)
        if job is None or not job.closed or not isinstance(job.work, Collect):
            return
        directory = self._directory(job_id)
        if job.files_deleted or is_gone(job, directory):
            return
        said: dict[str, Covered] = {}
        left = iter([node for node in job.nodes if node.coverage is None])

        async def read_nodes() -> None:
            with _logged(job_id):
                for node in left:
                    said[node.node] = await self._of_node(job, node, directory)

        async def save_meanwhile() -> None:
            while True:
                await trio.sleep(_SAVED_EVERY)
                with _logged(job_id):
                    await self._save(job, said)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(save_meanwhile)
            async with trio.open_nursery() as readers:
                for _ in range(min(_NODES, len(job.nodes))):
                    readers.start_soon(read_nodes)
            nursery.cancel_scope.cancel()
        await self._save(job, said)

    async def _save(self, job: Job, said: dict[str, Covered]) -> None:
        if said:
            await self._store.change(job.job_id, partial(add_coverage, job, dict(said)))

    async def _of_node(self, job: Job, node: Node, directory: Path) -> Covered:
        """Returns what the traces of a node cover. Raises `StoreFailed`."""
        left = _TRIES
        while True:
            left -= 1
            try:
                return await self._read_by_a_process(job, node, directory)
            except WorkerEnded as error:
                if error.cause is Cause.LOST and left:
                    continue
                said = "job %s, %s: what its files cover is not known: %s"
                log.warning(said, job.job_id, node.node, error)
                return Covered(_UNKNOWN[error.cause])

    async def _read_by_a_process(self, job: Job, node: Node, directory: Path) -> Covered:
        seconds = _SECONDS + node.bytes_received // _BYTES_A_SECOND
        limits = ProcessLimits(memory=_MEMORY, seconds=seconds)
        of_node = pages(self._store, job.job_id, {node.node: node})
        async with (
            self._room,
            self._workers.forked(TRACES, directory, limits) as worker,
            aclosing(of_node) as all_pages,
        ):
            await worker.send(_asked(job, node, directory))
            async for page in all_pages:
                files = [
                    (one.path, name_of(one, node))
                    for one, _ in page
                    if one.complete and counts(one, node) and not is_output(one, node)
                ]
                for first in range(0, len(files), _IN_A_FRAME):
                    await worker.send(TracePage(tuple(files[first : first + _IN_A_FRAME])))
            await worker.send(TracePage(()))
            covered = (await worker.receive(_READ)).covered
        if not can_be(covered):
            raise WorkerEnded(Cause.WRONG, "more was said than can be")
        return covered


def can_be(covered: Covered) -> bool:
    """Says whether a process that reads as it should can say this: it has read what a node made,
    and others store and show it. The first and the last year have moments of no local time.
    """
    extent = covered.extent or Extent()
    words = [covered.text, *extent.besides, *(gap.trace or "" for gap in covered.gaps)]
    moments = [extent.since, extent.until, *(gap.at for gap in covered.gaps)]
    return (
        sum(map(len, words)) <= _MOST_TEXT
        and len(covered.gaps) <= MOST_GAPS
        and all(1 < moment.year < 9999 for moment in moments if moment is not None)
    )


def add_coverage(before: Job, coverage: dict[str, Covered], now: Job) -> Job:
    """Adds to the job what the nodes' traces cover, of each node that is still as it was.

    Nothing is said of a job that is tried again, nor of files that were deleted meanwhile: some of
    them could not be read any more.
    """
    if not now.closed or now.files_deleted:
        return now
    nodes = tuple(
        new.with_coverage(coverage[new.node]) if new.node in coverage and new == old else new
        for old, new in zip(before.nodes, now.nodes, strict=True)
    )
    return replace(now, nodes=nodes)


class _JobReading:
    """Stands for the reading of one job. `ended`: it was read, or is read no more."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.scope = trio.CancelScope()


@contextmanager
def _logged(job_id: str) -> Iterator[None]:
    try:
        yield
    except StoreFailed as error:
        log.error("job %s: what its files cover is not known: %s", job_id, error)  # noqa: TRY400  of the disk
    except Exception:
        log.exception("job %s: what its files cover is not known: a defect", job_id)


def _asked(job: Job, node: Node, directory: Path) -> ReadTraces:
    work = job.work
    assert isinstance(work, Collect)
    ended = node.state.completed_at if isinstance(node.state, SETTLED) else datetime.now(UTC)
    ahead = timedelta(seconds=node.clock_ahead)
    by = (ended + max(ahead, timedelta())).astimezone(UTC).replace(tzinfo=None)
    return ReadTraces(
        directory=str(directory),
        by=by,
        zone=node.zone,
        ahead=node.clock_ahead,
        since=work.since,
        until=work.until,
        paths=work.paths,
        longer=tuple(_longer(work, path, node) for path in work.paths),
        unverified=work.unverified,
        recurs=work.recurs,
        asked=_was_asked(node),
    )


def _longer(work: Collect, path: str, node: Node) -> str | None:
    began = node.state.started_at
    if work.until is None or began is None or not _was_asked(node):
        return None
    return next_written_for(work.written_for_of(path), work.until, began)


def _was_asked(node: Node) -> bool:
    """Says whether it was asked for every path, and has sent what it has of them."""
    state = node.state
    return isinstance(state, Succeeded) or (
        isinstance(state, Failed) and state.failure.code == Code.NO_FILES_MATCHED
    )
