"""A job with files, and what looks at what they cover."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import trio

from cucmd.cases.coverage_reader import CoverageReader
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, open_store
from cucmd.worker.workers import Workers
from rig.in_process import InProcess

JOB = "0a1b2c3d4e5f"
NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
# 13:00 to 15:00 in Berlin
SINCE, UNTIL = NOW - timedelta(hours=3), NOW - timedelta(hours=1)
# What is said of a node that lacks nothing of this window
WHOLE = "covers 13:00 to 15:00 (Europe/Berlin)"


def log4j(*times: str) -> bytes:
    return b"".join(f"2026-11-25 {time}:00,000 INFO  [x] y\n".encode() for time in times)


class Cases:
    """One job with files, and what looks at them."""

    def __init__(self, store: Store, folder: Path, workers: Workers | None) -> None:
        self.store = store
        self.folder = folder
        self.told: list[Job] = []
        store.on_changed = self.told.append
        self.processes = InProcess()
        self.coverage = CoverageReader(
            store, lambda job_id: folder / job_id, workers or self.processes
        )

    async def job(
        self,
        *nodes: Node,
        job_id: str = JOB,
        closed: bool = True,
        paths: tuple[str, ...] = ("x",),
        written_for: tuple[str, ...] = (),
        unverified: tuple[str, ...] = (),
    ) -> Job:
        """Makes a job that has ended, with each node in its state."""
        work = Collect(
            paths, since=SINCE, until=UNTIL, written_for=written_for, unverified=unverified
        )
        names = tuple(Node(node.node) for node in nodes)
        job = Job(job_id, NOW, work, Timeouts(), 8, names)
        await self.store.add_job(job)
        ended = job.begin(NOW)
        for at, node in enumerate(nodes):
            ended = ended.replace_node(at, node, NOW)
        await self.store.save(job, ended)
        if closed:
            await self.store.close_job(job_id)
        return ended

    async def file(self, path: str, content: bytes, **fields: object) -> None:
        """`path`: of a node's push, after its name."""
        await self.files([path], content, **fields)

    async def files(self, paths: Iterable[str], content: bytes, **fields: object) -> None:
        saved = []
        for given in paths:
            node, _, name = given.partition("/")
            path = f"{node}/files/192.0.2.9/stamp/{name}"
            there = self.path(given)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(content)
            values = {"complete": True, "attempt": 1, **fields}
            saved.append(ReceivedFile(node, path, len(content), **values))
        await self.store.save_files(JOB, saved)

    def path(self, given: str) -> Path:
        """Returns the path on disk of a file that `file` has made."""
        node, _, name = given.partition("/")
        return self.folder / JOB / node / "files/192.0.2.9/stamp" / name

    async def looked_at(self) -> dict[str, Node]:
        """Returns name -> node, once it was looked at what its files cover."""
        loaded = await self.load()
        job = await self.coverage.wait_for_coverage(loaded, 30)
        return {node.node: node for node in job.nodes}

    async def load(self) -> Job:
        job = await self.store.load(JOB)
        assert job is not None
        return job


def begun(name: str, attempt: int = 1) -> Node:
    node = Node(name).begin(NOW, attempt)
    return msgspec.structs.replace(node, zone="Europe/Berlin")


def succeeded(name: str, attempt: int = 1) -> Node:
    return begun(name, attempt).succeed(NOW)


@asynccontextmanager
async def opened(folder: Path, workers: Workers | None = None) -> AsyncIterator[Cases]:
    """Gives what looks at files. `workers`: they read in place of this process."""
    (folder / "state").mkdir()
    async with open_store(folder / "state" / "cucmd.db") as store, trio.open_nursery() as nursery:
        cases = Cases(store, folder, workers)
        nursery.start_soon(cases.coverage.run)
        yield cases
        nursery.cancel_scope.cancel()


class ForEver:
    """The reading of a file with this name, or of any, never comes to its end."""

    def __init__(self, cases: Cases, name: str = "") -> None:
        self.begun, self.ended = trio.Event(), trio.Event()
        self._name = name
        cases.processes.before = self._read

    async def _read(self, names: list[str]) -> None:
        if any(self._name in name for name in names):
            self.begun.set()
            try:
                await trio.sleep_forever()
            finally:
                self.ended.set()
