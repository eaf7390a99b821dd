"""Measures how fast the daemon answers `Status` while it idles, and while its receiver is busy."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from receive import Server, open_receiving_job, push
from receive import reason_to_skip as reason_to_skip  # noqa: PLC0414 - the module offers it too
from rig.quiet import wait_until
from served import DaemonProcess, Wire, running_daemon_of

SIZE = 1 << 40  # bytes of a sparse file, which the sender reads at no cost
IDLE_CALLS = 2000  # a fixed number, so that their processor time hardly varies


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        source = folder / "source.log"
        with source.open("wb") as file:
            file.truncate(SIZE)
        measures = []
        for place, version in enumerate(versions):
            daemon = stack.enter_context(running_daemon_of(version, folder / str(place)))
            node = folder / f"node{place}"
            server, job_id = stack.enter_context(open_receiving_job(daemon, node, place + 1))
            wire = stack.enter_context(daemon.wire())
            measures.append(
                partial(_measure, daemon, wire, server, job_id, source, options.seconds)
            )
        yield measures


def _measure(
    daemon: DaemonProcess, wire: Wire, server: Server, job_id: str, source: Path, seconds: float
) -> Sample:
    def received() -> int:
        return wire.job(job_id)["nodes"][0]["bytes_received"]

    before = received()
    pushing, name = push(server, source)
    try:
        wait_until(lambda: received() > before or pushing.poll() is not None)
        before = received()
        ends = time.perf_counter() + seconds
        busy = [_call(wire, job_id), _call(wire, job_id)]
        while time.perf_counter() < ends:
            busy.append(_call(wire, job_id))
        assert pushing.poll() is None, "sftp ended"
        came = received() - before
    finally:
        pushing.terminate()
        pushing.wait()
    daemon.wait_until_idle()
    for arrived in server.folder.rglob(f"*{name}*"):
        arrived.unlink()
    with _on_one_processor(daemon):
        used = daemon.cpu()
        idle = [_call(wire, job_id) for _ in range(IDLE_CALLS)]
        used = daemon.cpu() - used
    return {
        Figure("`Status` while bytes come, 99th percentile", "ms", aim="< 50 ms"): p99(busy),
        Figure("    calls of one client", "/s"): len(busy) / sum(busy),
        Figure("    received meanwhile", "MB/s"): came / sum(busy),
        Figure("`Status` idle, 99th percentile", "ms", aim="< 5 ms"): p99(idle),
        Figure("`Status` idle, calls of one client", "/s"): len(idle) / sum(idle),
        Figure("    processor time of a call", "ms", decides=True): used / len(idle),
    }


@contextmanager
def _on_one_processor(daemon: DaemonProcess) -> Iterator[None]:
    """Lets this program and the daemon share one processor.

    In a virtual machine, waking an idle processor takes as long as a call, and is part of the
    processor time of the daemon. Whether the kernel keeps both processes on one processor is
    chance, and stays so for as long as they live.
    """
    allowed = os.sched_getaffinity(0)
    pids = (os.getpid(), daemon.process.pid)
    try:
        for pid in pids:
            os.sched_setaffinity(pid, {min(allowed)})
        yield
    finally:
        for pid in pids:
            os.sched_setaffinity(pid, allowed)


def p99(took: list[float]) -> float:
    """Returns the 99th percentile of at least two values."""
    return statistics.quantiles(took, n=100)[98]


def _call(wire: Wire, job_id: str) -> float:
    """Calls `Status`; returns the seconds that it takes."""
    began = time.perf_counter()
    wire.job(job_id)
    return time.perf_counter() - began
