"""A large cluster: how long it takes to log in to every node, and to close all connections.

The one rule: the daemon runs as it does in service, and what is still connected is counted on the
nodes' side.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from rig.daemon import CONFIG, running_daemon
from rig.jobs import in_phase, start, until
from rig.lab import running_lab
from rig.quiet import wait_until


def run(nodes: int = 400) -> dict[str, Any]:
    """Seconds and bytes. `closed`: from the call of cancel until the last connection is closed."""
    with tempfile.TemporaryDirectory(prefix="cucmd-bench-") as folder:
        config = f"{CONFIG}connections = {nodes}\n[ssh]\nhost_keys = 'off'\n"
        # Busy with a command, and as a node does: Ctrl-C brings its prompt back.
        lab = running_lab(nodes, "--fault", "silent:command")
        daemon = running_daemon(Path(folder) / "cucmd", config, checks=False)
        with lab as lab, daemon as daemon, daemon.client() as client:
            idle = daemon.memory()
            began = time.perf_counter()
            job = start(client, lab, concurrency=nodes, connect=120, command=600)
            until(client, job.job_id, in_phase("command"), within=300)
            login = time.perf_counter() - began
            memory = daemon.memory()
            began = time.perf_counter()
            client.cancel(job.job_id)
            reply = time.perf_counter() - began
            wait_until(lambda: lab.report()["connections_now"] == 0, within=60)
            closed = time.perf_counter() - began
            report = lab.report()
    return {
        "nodes": nodes,
        "login": login,
        "reply": reply,
        "closed": closed,
        "dropped": report["dropped"],
        "memory": memory,
        "memory_idle": idle,
    }
