"""How quickly the daemon answers while it idles, and while its receiver is busy."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from cucmctl import Client
from rig.daemon import CONFIG, running_daemon
from rig.jobs import start, until
from rig.openssh_node import openssh_node, why_not

SIZE = 4_000_000_000  # sparse: what the node reads costs it nothing


def run(seconds: float = 5.0) -> dict[str, Any]:
    """`rate` in calls a second, `p99` in seconds, `received` in bytes a second."""
    if reason := why_not():
        return {"skipped": reason}
    with tempfile.TemporaryDirectory(prefix="cucmd-bench-") as name:
        folder = Path(name)
        with (
            openssh_node(folder / "node", "127.3.0.1") as node,
            running_daemon(folder / "cucmd", CONFIG, checks=False) as daemon,
            daemon.client() as client,
        ):
            _sparse(node.root / "cm/trace/ccm/sdl/SDL001_100_000001.txt", SIZE)
            job = start(client, node, [node.address], last=None)
            until(client, job.job_id, lambda job: job.nodes[0].bytes_received > 0)
            busy = _calls(client, job.job_id, seconds)
            client.cancel(job.job_id)
            client.wait(job.job_id)
            idle = _calls(client, job.job_id, seconds)
    return {"idle": idle, "busy": busy}


def _sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(size)


def _calls(client: Client, job_id: str, seconds: float) -> dict[str, float]:
    """Status calls one after the other for so long."""
    took: list[float] = []
    before = client.status(job_id).nodes[0].bytes_received
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        job = client.status(job_id)
        took.append(time.perf_counter() - began)
    return {
        "rate": len(took) / seconds,
        "p99": statistics.quantiles(took, n=100)[98],
        "median": statistics.median(took),
        "received": (job.nodes[0].bytes_received - before) / seconds,
    }
