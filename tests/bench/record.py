"""What it costs to record the files of a large job: the manifest, the store, the event loop.

Nodes and receiver are left out, the rest is the daemon's own; what goes to the manifest is counted
where it is made durable.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from cucmd.config import Limits
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from rig.scripted_target import Target
from rig.supervised import Behaviour, statuses, supervisor_harness

NAME = "192.0.2.{}/2026-11-25_12-00-00/cm/trace/ccm/sdl/SDL001_100_{:06}.txt.gzo"
APART = 0.15  # seconds between the ends of nodes


def run(nodes: int = 400, files: int = 250) -> dict[str, Any]:
    """`took` and `gap` (the longest time that the event loop was blocked) in seconds, of all nodes
    at once and of one after the other; `written` in bytes.
    """
    return {
        "nodes": nodes,
        "files": files,
        "together": trio.run(_job, nodes, files, 0.0),
        "apart": trio.run(_job, nodes, files, APART),
    }


async def _job(nodes: int, files: int, apart: float) -> dict[str, Any]:
    names = [f"n{number}" for number in range(nodes)]
    all_run = trio.Event()
    with tempfile.TemporaryDirectory(prefix="cucmd-bench-") as folder, _counted() as counts:
        async with supervisor_harness(Path(folder), Limits(connections=nodes)) as harness:
            for number, name in enumerate(names):
                harness.behaviours[name] = _node(all_run, number * apart, number, files)
            gc.freeze()  # objects of the simulated nodes are not part of the daemon's collections
            async with trio.open_nursery() as nursery:
                job_id = await harness.start(*names, concurrency=nodes)
                await harness.running(job_id, nodes)
                began = trio.current_time()
                all_run.set()
                nursery.start_soon(_watch_the_loop, counts)
                job = await harness.ended(job_id)
                took = trio.current_time() - began
                nursery.cancel_scope.cancel()
        assert set(statuses(job)) == {"succeeded"}
    return counts | {"took": took}


def _node(all_run: trio.Event, later: float, number: int, files: int) -> Behaviour:
    target = _Target(f"n{number}", f"n{number}/files/")
    for file in range(files):
        target.store(NAME.format(number, file), 1_000_000)

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.upload_target(target)
        report.complete(target.came)
        await all_run.wait()
        await trio.sleep(later)
        return ()

    return behaviour


class _Target(Target):
    """Keeps its figures, as the receiver does. The scripted one counts its files each time."""

    files_received = 0

    def files(self) -> Sequence[ReceivedFile]:
        return self.came


@contextmanager
def _counted() -> Iterator[dict[str, Any]]:
    """Python's own calls of fsync; SQLite makes its own."""
    counts = {"written": 0, "writes": 0, "size": 0, "fsyncs": 0, "gap": 0.0}
    fsync = os.fsync

    def counting(descriptor: int) -> None:
        counts["fsyncs"] += 1
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name == "manifest.jsonl":  # each time only what was added is written
            counts["writes"] += 1
            counts["written"] += os.fstat(descriptor).st_size - counts["size"]
            counts["size"] = os.fstat(descriptor).st_size
        fsync(descriptor)

    os.fsync = counting
    try:
        yield counts
    finally:
        os.fsync = fsync


async def _watch_the_loop(counts: dict[str, Any]) -> None:
    while True:
        slept = trio.current_time()
        await trio.sleep(0.001)
        counts["gap"] = max(counts["gap"], trio.current_time() - slept - 0.001)
