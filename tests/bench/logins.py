"""Measures the logins to all nodes of a large cluster, and how soon a cancel closes them.

The nodes count the connections and the commands, so that nothing calls the daemon meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from rig.lab import Lab, running_lab
from rig.quiet import wait_until
from served import DaemonProcess, running_daemon_of


def reason_to_skip(_versions: Sequence[Version]) -> str | None:
    return None


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    """Starts a daemon of each version, and the same nodes for all of them."""
    most = max(options.nodes)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        # Each node is busy with a command, and like a real node shows its prompt after Ctrl-C.
        lab = stack.enter_context(running_lab(most, "--fault", "silent:command"))
        daemons = [
            stack.enter_context(running_daemon_of(version, folder / str(place), connections=most))
            for place, version in enumerate(versions)
        ]
        yield [
            partial(_measure_all_sizes, daemon, lab, sorted(set(options.nodes)))
            for daemon in daemons
        ]


def _measure_all_sizes(daemon: DaemonProcess, lab: Lab, sizes: Sequence[int]) -> Sample:
    found: dict[Figure, float] = {}
    used = {}
    for nodes in sizes:
        found |= _measure(daemon, lab, nodes)
        used[nodes] = found[_processor_figure(nodes)]
    least, most = sizes[0], sizes[-1]
    if most > least:
        aim = "<= 3.3" if most == 3 * least else ""
        found[Figure(f"processor time of {most} logins beside {least}", aim=aim)] = (
            used[most] / used[least]
        )
    return found


def _processor_figure(nodes: int) -> Figure:
    return Figure(f"{nodes} logins, processor time", "s", decides=True)


def _measure(daemon: DaemonProcess, lab: Lab, nodes: int) -> Sample:
    before = lab.report()
    with daemon.wire() as wire:
        used, theirs, began = daemon.cpu(), lab.cpu(), time.perf_counter()
        job_id = wire.start(lab, lab.nodes[:nodes])
        while lab.report()["faults_used"] - before["faults_used"] < nodes:
            took = time.perf_counter() - began
            assert took < 600, [one for one in wire.job(job_id)["nodes"] if one.get("error")][:3]
            time.sleep(0.05)
        took = time.perf_counter() - began
        used, theirs = daemon.cpu() - used, lab.cpu() - theirs
        memory = daemon.memory()
        began = time.perf_counter()
        wire.call("Cancel", job_id=job_id)
        reply = time.perf_counter() - began
        wait_until(lambda: lab.report()["connections_now"] == 0, within=60)
        closed = time.perf_counter() - began
        wire.wait(job_id)
    daemon.wait_until_idle()
    dropped = lab.report()["dropped"] - before["dropped"]
    return {
        Figure(f"{nodes} nodes, from start to a running command", "s"): took,
        _processor_figure(nodes): used,
        Figure(f"{nodes} logins, processor time of the nodes", "s"): theirs,
        Figure(f"memory with {nodes} nodes logged in", "MB", aim="< 100 MB"): memory,
        Figure(f"cancel of {nodes}, its durable reply", "ms", aim="<= 100 ms"): reply,
        Figure(f"cancel of {nodes}, the last connection closed", "s", aim="<= 1 s"): closed,
        Figure(f"cancel of {nodes}, not closed cleanly", "of them", aim="0"): dropped,
    }
