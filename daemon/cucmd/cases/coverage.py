"""Reads the time stamps of what a job has collected, once it is closed, and keeps what they cover.

It works only while the daemon has time, and nothing fails because of it: not the daemon, not
another job, not another node.

    a job is closed     `want`: it is read in the background
    it is exported      `with_coverage`: waits for that, for a limited time
    it is deleted, or   `drop`: the reading ends at once
    tried again
    a restart           what it has interrupted is read once somebody asks for the job

Some jobs are read at a time, and some nodes of each, each in a thread. A thread works for a
hundredth of a second, and then rests for three, one thread after the other: so all of them together
take a third of a processor at most, and each has its turn, whatever the others read. A cancel is
heard there.

Files that are complete and count are read (`files.py`): the beginning of each, and of each trace
the last file to its end, within what the node has sent (`read_traces.py`). The result is one line
for each node, in the store; of what could not be read it says so, and that is not read again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import trio
from msgspec.structs import replace

from cucmd.cases.covered import (
    MOST_GAPS,
    Clock,
    PathFound,
    Paths,
    Span,
    describe,
    gaps_of,
    trace_name,
)
from cucmd.cases.files import counts, is_gone, is_output, name_of, pages
from cucmd.cases.read_traces import Beginning, Budget, Pace, Traces, last_stamp, look
from cucmd.failure import Code
from cucmd.job.collect import Collect, Covered
from cucmd.job.duration import longer
from cucmd.job.job import Job
from cucmd.job.node import SETTLED, Failed, Node, Succeeded
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)
T = TypeVar("T")

# Jobs that are read at a time, nodes of each, and times its work that a thread rests. The thread's
# priority is not lowered instead: it holds the interpreter's lock while it searches a piece, and on
# a busy machine the daemon would wait for a thread that the kernel does not run.
_JOBS, _NODES, _REST = 8, 4, 3.0
# Seconds after which the nodes that were read are saved, where others of the job take longer.
_SAVED_EVERY = 5.0
# Jobs that wait to be read; those that do not fit are read when somebody asks for them.
_MOST_WAITING = 1000

_TOO_MUCH = "not all of it was read, since that takes longer than logs of this size can"
_DEFECT = "unknown: reading it has failed, by a defect of cucmd; its log has the details"

# The name of a time zone -> the zone; None: it is not known here.
ZoneOf: TypeAlias = Callable[[str], tzinfo | None]


def has_coverage(job: Job) -> bool:
    """Whether the time stamps of all its nodes have been looked at. Other work has no traces."""
    return not isinstance(job.work, Collect) or all(node.coverage is not None for node in job.nodes)


class Coverage:
    """Of the daemon. `run` is to be started in a task of its own."""

    def __init__(self, store: Store, directory: Callable[[str], Path], zone_of: ZoneOf) -> None:
        self._store = store
        self._directory = directory
        self._zone_of = zone_of
        # By job. One that is closed again while it is being read is in both.
        self._waiting: dict[str, _JobReading] = {}
        self._reading: dict[str, _JobReading] = {}
        self._news = trio.Event()
        self._threads = trio.CapacityLimiter(_JOBS * _NODES)
        self._turn = trio.Lock()

    def want(self, job_id: str) -> None:
        """The job is closed. Never waits."""
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
        """The closed job with what its traces cover, as far as that is known by then.

        Raises `StoreFailed`.
        """
        self.want_if_missing(job)
        if (waiting := self._waiting.pop(job.job_id, None)) is not None:  # it is the next one
            self._waiting = {job.job_id: waiting, **self._waiting}
        known = {**self._waiting, **self._reading}
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
        ended = trio.Event()

        async def read_nodes() -> None:
            pace = Pace(lambda worked: trio.from_thread.run(self._rest, worked))
            with _logged(job_id):
                for node in left:
                    said[node.node] = await self._of_node(job, node, directory, pace)

        async def read_all() -> None:
            async with trio.open_nursery() as readers:
                for _ in range(min(_NODES, len(job.nodes))):
                    readers.start_soon(read_nodes)
            ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all)
            while not ended.is_set():
                with trio.move_on_after(_SAVED_EVERY):
                    await ended.wait()
                with _logged(job_id):
                    await self._save(job, said)

    async def _save(self, job: Job, said: dict[str, Covered]) -> None:
        if said:
            await self._store.change(job.job_id, partial(add_coverage, job, dict(said)))

    async def _of_node(self, job: Job, node: Node, directory: Path, pace: Pace) -> Covered:
        """What the traces of a node cover. Raises `StoreFailed`."""
        assert isinstance(job.work, Collect)
        reading = _NodeReading(node, job.work, Budget(pace.step))
        try:
            of_node = pages(self._store, job.job_id, {node.node: node})
            async with aclosing(of_node) as all_pages:
                async for page in all_pages:
                    files = [file for file, _ in page if _is_read(file, node)]
                    await self._in_thread(pace, reading.look, directory, files)
            await self._in_thread(pace, reading.find_ends, directory)
            window = Span(job.work.since, job.work.until)
            return reading.describe(window, clock_of(node, self._zone_of))
        except StoreFailed:
            raise
        except Exception:  # its files are a stranger's: they cost no other node its coverage
            log.exception("job %s, %s: what its files cover: a defect", job.job_id, node.node)
            return Covered(_DEFECT)

    async def _in_thread(self, pace: Pace, work: Callable[..., T], *arguments: object) -> T:
        def at_work() -> T:
            with pace.at_work():
                return work(*arguments)

        return await trio.to_thread.run_sync(at_work, limiter=self._threads)

    async def _rest(self, worked: float) -> None:
        """Called from the threads. trio gives a lock in the order in which it is asked for."""
        async with self._turn:
            await trio.sleep(_REST * worked)


def add_coverage(before: Job, coverage: dict[str, Covered], now: Job) -> Job:
    """The job with what the nodes' traces cover, of each node that is still as it was.

    Nothing is said of a job that is tried again, nor of files that were deleted meanwhile: some of
    them could not be read any more.
    """
    if not now.closed or now.files_deleted:
        return now
    nodes = tuple(
        new.covers(coverage[new.node]) if new.node in coverage and new == old else new
        for old, new in zip(before.nodes, now.nodes, strict=True)
    )
    return replace(now, nodes=nodes)


class _JobReading:
    """Of one job. `ended`: it was read, or is read no more."""

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


class _NodeReading:
    """What was found in the files of one node so far.

    by       when they were collected
    unread   how many could not be read
    came     position of a path -> the traces that its files are of
    strange  some are of no path that is known
    """

    def __init__(self, node: Node, work: Collect, budget: Budget) -> None:
        self.node = node
        self._work = work
        self._paths = Paths(work.paths, recurs=work.recurs)
        ended = node.state.completed_at if isinstance(node.state, SETTLED) else datetime.now(UTC)
        ahead = max(timedelta(seconds=node.clock_ahead), timedelta())
        self.by = (ended + ahead).astimezone(UTC).replace(tzinfo=None)
        self.files = Traces()
        self.unread = 0
        self.came: dict[int, set[str]] = {}
        self.strange = False
        self._budget = budget

    def look(self, directory: Path, files: Sequence[ReceivedFile]) -> None:
        """In a thread, as `find_ends`."""
        for file in files:
            self._add(file, look(self._budget, directory / file.path, self.by))

    def find_ends(self, directory: Path) -> None:
        for name, (path, first) in self.files.newest.items():
            end = last_stamp(self._budget, directory / path, first, self.by)
            self.files.traces[name].end = end

    def describe(self, window: Span, clock: Clock) -> Covered:
        """Of a node that has failed without a file nothing is said: its failure does."""
        if not (self.came or self.strange or _was_asked(self.node)):
            return Covered("")
        gaps = gaps_of(self._by_path(), window, clock)
        said = describe(self.files.all(), window, clock, self.unread, gaps)
        if self._budget.spent:
            said = f"{said}; {_TOO_MUCH}" if said else f"unknown: {_TOO_MUCH}"
        return Covered(said, gaps[:MOST_GAPS])

    def _by_path(self) -> Iterator[PathFound]:
        traces = self.files.traces
        for position, path in enumerate(self._work.paths):
            names = self.came.get(position)
            if names is None and self.strange:  # it may be of this path
                continue
            if names is not None and self._budget.spent:  # of what was not read it is not known
                continue
            found = None if names is None else [traces[name] for name in names]
            yield PathFound(path, found, self._longer(path))

    def _longer(self, path: str) -> str | None:
        began = self.node.state.started_at
        if self._work.until is None or began is None or not _was_asked(self.node):
            return None
        return longer(self._work.written_for_of(path), self._work.until, began)

    def _add(self, file: ReceivedFile, found: Beginning) -> None:
        name = _below_the_push(name_of(file, self.node))
        if found.traces is not None:
            for trace in found.traces:
                self.files.add_trace(trace)
                self._came(trace.file, trace.name)
            return
        if found.unread:
            self.unread += 1
            self.files.miss(name)
        elif not found.empty:
            self.files.add(file.path, name, found.first)
        self._came(name, trace_name(name))

    def _came(self, name: str, trace: str) -> None:
        positions = self._paths.of(name)
        self.strange = self.strange or not positions
        known = {trace} & self.files.traces.keys()  # of which there are not too many
        for position in positions:
            self.came.setdefault(position, set()).update(known)


def _is_read(file: ReceivedFile, node: Node) -> bool:
    return file.complete and counts(file, node) and not is_output(file, node)


def _below_the_push(name: str) -> str:
    """Without the two folders that a node makes for each push (vos/NODES.md, section 5.6)."""
    return name.split("/", 2)[-1]


def _was_asked(node: Node) -> bool:
    """Whether it was asked for every path, and has sent what it has of them."""
    state = node.state
    return isinstance(state, Succeeded) or (
        isinstance(state, Failed) and state.failure.code is Code.NO_FILES_MATCHED
    )


def clock_of(node: Node, zone_of: ZoneOf) -> Clock:
    ahead = timedelta(seconds=node.clock_ahead)
    if node.zone is None:
        return Clock(None, ahead)
    return Clock(UTC if node.zone == "UTC" else zone_of(node.zone), ahead)
