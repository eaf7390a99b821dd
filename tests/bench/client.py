"""Measures `cucmctl status`, `list` and `cancel` beside a Python process that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from rig.lab import running_lab
from served import DaemonProcess, clean_environ, cpu_of_children, running_daemon_of

NODES = 3


def reason_to_skip(_versions: Sequence[Version]) -> str | None:
    return None


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    """Starts a daemon of each version, with a job that has ended."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        lab = stack.enter_context(running_lab(NODES, "--files", "2", "--size", "1000"))
        measures = []
        for place, version in enumerate(versions):
            daemon = stack.enter_context(running_daemon_of(version, folder / str(place)))
            with daemon.wire() as wire:
                job_id = wire.start(lab, lab.nodes)
                job = wire.wait(job_id)
            assert job["status"] == "succeeded", job
            daemon.wait_until_idle()
            measures.append(partial(_measure, daemon, job_id, options.calls))
            measures[-1]()  # not counted: it compiles byte code and fills the page cache
        yield measures


def _measure(daemon: DaemonProcess, job_id: str, calls: int) -> Sample:
    """Calls each command so many times; returns the medians."""
    program = str(daemon.version.bin / "cucmctl")
    commands = {
        "python -c pass": [str(daemon.version.bin / "python"), "-c", "pass"],
        "cucmctl status": [program, "status", job_id],
        "cucmctl list": [program, "list"],
        "cucmctl cancel": [program, "cancel", job_id],
    }
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(calls):
        for name, command in commands.items():
            took[name].append(_run(daemon, command))
    found: dict[Figure, float] = {}
    wall = {name: statistics.median(wall for wall, _ in took[name]) for name in commands}
    cpu = {name: statistics.median(cpu for _, cpu in took[name]) for name in commands}
    bare = next(iter(commands))
    for name in commands:
        found[Figure(f"`{name}`, processor time", "ms", decides=name != bare)] = cpu[name]
        found[Figure(f"`{name}`, time", "ms")] = wall[name]
        if name != bare:
            beside = Figure(f"`{name}`, processor time beside `{bare}`", aim="<= 6")
            found[beside] = cpu[name] / cpu[bare]
    return found


def _run(daemon: DaemonProcess, command: list[str]) -> tuple[float, float]:
    """Returns the time that the command takes and its processor time, in seconds."""
    used, began = cpu_of_children(), time.perf_counter()
    silent, environment = subprocess.DEVNULL, clean_environ(CUCMD_SOCKET=str(daemon.socket))
    subprocess.run(command, stdout=silent, stderr=silent, env=environment, check=True)
    return time.perf_counter() - began, cpu_of_children() - used
