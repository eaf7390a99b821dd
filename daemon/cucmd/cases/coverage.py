"""Reads the time stamps of what a job has collected, once it is closed, and keeps what they cover.

The one rule: it works only while the daemon has time, and nothing fails because of it. One job
after the other is read, in a thread that sleeps most of the time; the job may be retried or deleted
meanwhile, and then what was found is dropped.

    a job is closed     `want`: it is read in the background
    it is exported      `with_coverage`: waits for that, for a limited time
    a restart           what it has interrupted is read once somebody asks for the job

Files that are complete and count are read (`files.py`): the beginning of each, and of each trace
the last file to its end. The result is one line for each node, in the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio
from msgspec.structs import replace

from cucmd.cases.covered import Clock, Window, describe
from cucmd.cases.files import Page, counts, is_gone, is_output, name_of, nodes_by_name, pages
from cucmd.cases.read_traces import Files, Found, Pace, last_stamp, look_all
from cucmd.cases.thread import WorkThread
from cucmd.job import SETTLED, Collect, Job, Node
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds for all files of one job, most of them at rest. What is not read by then is unknown.
MOST_SECONDS = 1800.0
# Jobs that wait to be read; those that do not fit are read when somebody asks for them.
_MOST_WAITING = 1000

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
        # By job; the event is set when it was read. One that is closed again while it is being
        # read is in both.
        self._waiting: dict[str, trio.Event] = {}
        self._reading: dict[str, trio.Event] = {}
        self._news = trio.Event()

    def want(self, job_id: str) -> None:
        """The job is closed. Never waits."""
        if job_id not in self._waiting and len(self._waiting) < _MOST_WAITING:
            self._waiting[job_id] = trio.Event()
            self._news.set()

    def want_if_missing(self, job: Job) -> None:
        """Somebody looks at the job: it is read if that was not done, as after a restart."""
        missing = job.closed and not job.files_deleted and not has_coverage(job)
        if missing and job.job_id not in self._reading:
            self.want(job.job_id)

    async def with_coverage(self, job: Job, seconds: float) -> Job:
        """The closed job with what its traces cover, or without if that takes longer.

        Raises `StoreFailed`.
        """
        self.want_if_missing(job)
        if (waiting := self._waiting.pop(job.job_id, None)) is not None:  # it is the next one
            self._waiting = {job.job_id: waiting, **self._waiting}
        known = {**self._waiting, **self._reading}
        if has_coverage(job) or job.job_id not in known:
            return job
        with trio.move_on_after(seconds):
            await known[job.job_id].wait()
            return await self._store.load(job.job_id) or job
        return job

    async def run(self) -> None:
        while True:
            while not self._waiting:
                self._news = trio.Event()
                await self._news.wait()
            job_id = next(iter(self._waiting))
            self._reading[job_id] = self._waiting.pop(job_id)
            try:
                await self._read(job_id)
            except StoreFailed as error:
                log.warning("job %s: what its files cover is not known: %s", job_id, error)
            except Exception:
                log.exception("job %s: what its files cover is not known: a defect", job_id)
            finally:
                self._reading.pop(job_id).set()

    async def _read(self, job_id: str) -> None:
        job = await self._store.load(job_id)
        if job is None or not job.closed or not isinstance(job.work, Collect):
            return
        directory = self._directory(job_id)
        if job.files_deleted or await is_gone(job, directory):
            return
        thread = WorkThread("cucmd-coverage")
        try:
            reading = _JobReading(self._store, job, directory, thread, self._zone_of)
            said = await reading.describe()
        finally:
            thread.close()
        await self._store.change(job_id, partial(add_coverage, job, said))


def add_coverage(before: Job, coverage: dict[str, str], now: Job) -> Job:
    """The job with what the nodes' traces cover, of each node that is still as it was.

    Nothing is said of a job that is tried again, nor of files that were deleted meanwhile: some of
    them could not be read any more.
    """
    if not now.closed or now.files_deleted:
        return now
    nodes = tuple(
        replace(new, coverage=coverage[new.node]) if new.node in coverage and new == old else new
        for old, new in zip(before.nodes, now.nodes, strict=True)
    )
    return replace(now, nodes=nodes)


class _JobReading:
    """Reads the files of one job."""

    def __init__(
        self, store: Store, job: Job, directory: Path, thread: WorkThread, zone_of: ZoneOf
    ) -> None:
        self._store = store
        self._job = job
        self._directory = directory
        self._thread = thread
        self._zone_of = zone_of
        self._pace = Pace(thread.ended, MOST_SECONDS)
        self._window = window_of(job)

    async def describe(self) -> dict[str, str]:
        """Node -> what its traces cover. Raises `StoreFailed`."""
        said = dict.fromkeys((node.node for node in self._job.nodes), "")
        nodes = nodes_by_name(self._job, None)
        reading: _NodeReading | None = None
        async with aclosing(pages(self._store, self._job.job_id, nodes)) as all_pages:
            async for page in all_pages:
                for node, files in _by_node(page):
                    if reading is None or reading.node is not node:
                        if reading is not None:
                            said[reading.node.node] = await self._finish(reading)
                        reading = _NodeReading(node)
                    await self._look(reading, files)
        if reading is not None:
            said[reading.node.node] = await self._finish(reading)
        return said

    async def _look(self, reading: _NodeReading, files: list[ReceivedFile]) -> None:
        paths = [(self._directory / file.path, reading.by) for file in files]
        found = await self._thread.run(look_all, self._pace, paths)
        for file, one in zip(files, found, strict=True):
            reading.add(file, one)

    async def _finish(self, reading: _NodeReading) -> str:
        for name, (path, first) in reading.files.newest.items():
            arguments = self._pace, self._directory / path, first, reading.by
            reading.files.traces[name].end = await self._thread.run(last_stamp, *arguments)
        clock = clock_of(reading.node, self._zone_of)
        return describe(reading.files.all(), self._window, clock, reading.unread)


class _NodeReading:
    """What was found in the files of one node so far.

    by      when they were collected
    unread  how many could not be read
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        ended = node.state.completed_at if isinstance(node.state, SETTLED) else datetime.now(UTC)
        ahead = max(timedelta(seconds=node.clock_ahead), timedelta())
        self.by = (ended + ahead).astimezone(UTC).replace(tzinfo=None)
        self.files = Files()
        self.unread = 0

    def add(self, file: ReceivedFile, found: Found) -> None:
        if found.unread:
            self.unread += 1
        elif found.traces is not None:
            for trace in found.traces:
                self.files.add_trace(trace)
        elif not found.empty:
            self.files.add(file.path, _below_the_push(name_of(file, self.node)), found.first)


def _by_node(page: Page) -> Iterator[tuple[Node, list[ReceivedFile]]]:
    """The files of a page that are read, node by node."""
    files: dict[str, tuple[Node, list[ReceivedFile]]] = {}
    for file, node in page:
        if file.complete and counts(file, node) and not is_output(file, node):
            files.setdefault(node.node, (node, []))[1].append(file)
    yield from files.values()


def _below_the_push(name: str) -> str:
    """Without the two folders that a node makes for each push (vos/NODES.md, section 5.6)."""
    return name.split("/", 2)[-1]


def window_of(job: Job) -> Window:
    work = job.work
    return Window(work.since, work.until) if isinstance(work, Collect) else Window()


def clock_of(node: Node, zone_of: ZoneOf) -> Clock:
    ahead = timedelta(seconds=node.clock_ahead)
    if node.zone is None:
        return Clock(None, ahead)
    return Clock(UTC if node.zone == "UTC" else zone_of(node.zone), ahead)
