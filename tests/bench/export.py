"""Measures how fast a job is exported, and in how much memory, beside `tar | tee >(sha256sum)` of
the files.

The files are sparse, so that no disk is measured; both sides read every byte, and hash it. On a
machine that does other work too, the processor's time is what can be compared.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cucmd.received_file import ReceivedFile
from figures import Figure, Sample
from installed import Version
from rig import openssh_node
from rig.collected import JOB_ID, record
from rig.daemon import CONFIG, Daemon, running_daemon
from served import SDL, Served, cpu_of_children, environ, served

FILE = 1 << 30


def run(gigabytes: int = 6, rounds: int = 1) -> dict[str, Any]:
    """`ours`, `theirs` in bytes a second, `longer` and `cpu`: how many times as long and as much of
    the processor ours takes; memory in bytes, at most while an export ran; the time of the
    processor in seconds for each GiB, of both sides with that of `cat`.
    """
    with tempfile.TemporaryDirectory(prefix="cucmd-bench-") as name:
        folder = Path(name)
        _make_job(folder / "cucmd/state", gigabytes)
        size = gigabytes * FILE
        with running_daemon(folder / "cucmd", CONFIG, checks=False) as daemon:
            ours, theirs, memory = [], [], []
            cpu = dict.fromkeys(("daemon_cpu", "client_cpu", "tar_cpu"), 0.0)
            _tar(folder / "cucmd/state/jobs" / JOB_ID)  # so that both find the files in memory
            for _ in range(rounds):
                before = _cpu_of(daemon), _cpu_of_children()
                took, peaks = _export(daemon)
                between = _cpu_of(daemon), _cpu_of_children()
                ours.append(size / took)
                memory.append(peaks)
                theirs.append(size / _tar(folder / "cucmd/state/jobs" / JOB_ID))
                cpu["daemon_cpu"] += (between[0] - before[0]) / gigabytes / rounds
                cpu["client_cpu"] += (between[1] - before[1]) / gigabytes / rounds
                cpu["tar_cpu"] += (_cpu_of_children() - between[1]) / gigabytes / rounds
            idle = daemon.memory()
    return {
        "gigabytes": gigabytes,
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "longer": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        "cpu": (cpu["daemon_cpu"] + cpu["client_cpu"]) / cpu["tar_cpu"],
        "daemon": max(daemon for daemon, _ in memory),
        "client": max(client for _, client in memory),
        "daemon_idle": idle,
        **cpu,
    }


def _make_job(state: Path, files: int) -> None:
    """Makes a closed job of one node with sparse files of a GiB."""
    folder = state / "jobs" / JOB_ID / "a/files"
    folder.mkdir(parents=True)
    digest = hashlib.sha256()
    for _ in range(FILE >> 20):
        digest.update(bytes(1 << 20))
    found = []
    for number in range(files):
        with (folder / f"{number}.txt").open("wb") as file:
            file.truncate(FILE)
        path = f"a/files/{number}.txt"
        found.append(ReceivedFile("a", path, FILE, digest.hexdigest(), True, True, 1))
    record(state, found)


def _export(daemon: Daemon) -> tuple[float, tuple[int, int]]:
    """Returns the seconds, and the most memory of daemon and client meanwhile."""
    options = ["--socket", str(daemon.socket), "export", JOB_ID, "--format", "tar", "-o", "-"]
    began = time.perf_counter()
    client = subprocess.Popen(
        [sys.executable, "-m", "cucmctl", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    peaks = [0, 0]
    sampling = threading.Event()

    def sample() -> None:
        while not sampling.wait(0.2):
            peaks[0] = max(peaks[0], daemon.memory())
            peaks[1] = max(peaks[1], _memory(client.pid))

    thread = threading.Thread(target=sample)
    thread.start()
    _discard(client)
    sampling.set()
    thread.join()
    return time.perf_counter() - began, (peaks[0], peaks[1])


def _cpu_of(daemon: Daemon) -> float:
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu_of_children() -> float:
    """Returns the seconds of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tar(folder: Path) -> float:
    """Returns the seconds of `tar -c | tee >(sha256sum) | cat`. Without `--sparse` tar reads the
    holes too.
    """
    began = time.perf_counter()
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with (
        subprocess.Popen(["sha256sum"], stdin=pipe, stdout=silent) as summed,
        subprocess.Popen(["tar", "-c", "-C", folder, "."], stdout=pipe) as tar,
    ):
        second = summed.stdin.fileno()
        tee = subprocess.Popen(
            ["tee", f"/dev/fd/{second}"], stdin=tar.stdout, stdout=pipe, pass_fds=[second]
        )
        _discard(tee)
    assert tar.returncode == 0
    return time.perf_counter() - began


def _discard(process: subprocess.Popen) -> None:
    with process, open("/dev/null", "wb") as nowhere:
        subprocess.run(["cat"], stdin=process.stdout, stdout=nowhere, check=True)
    assert process.returncode == 0


def _memory(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * 4096


# Of any version: a job that it has received itself, see `__main__.py`.


def why_not(versions: Sequence[Version]) -> str | None:
    for version in versions:
        asked = [version.bin / "cucmctl", "export", "--help"]
        if subprocess.run(asked, capture_output=True, env=environ(), check=False).returncode:
            return f"{version.name} has no export"
    return openssh_node.why_not()


@contextmanager
def opened(versions: Sequence[Version], options: Namespace) -> Iterator[list[Callable[[], Sample]]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        node = stack.enter_context(openssh_node.openssh_node(folder / "node", "127.3.0.1"))
        size = options.size * 1_000_000
        source = node.root / SDL / "SDL001_100_000001.txt"
        source.parent.mkdir(parents=True)
        with source.open("wb") as file:
            file.truncate(size)
        measures = []
        for place, version in enumerate(versions):
            daemon = stack.enter_context(served(version, folder / str(place)))
            with daemon.wire() as wire:
                job_id = wire.start(node, [node.address])
                job = wire.wait(job_id)
            assert job["status"] == "succeeded", job
            daemon.settle()
            measures.append(partial(_measure, daemon, job_id, Path(job["directory"]), size))
        yield measures


def _measure(daemon: Served, job_id: str, directory: Path, size: int) -> Sample:
    """Measures a file of zeros, which is in memory."""
    before, began, bare = daemon.cpu(), time.perf_counter(), cpu_of_children()
    program = [daemon.version.bin / "cucmctl", "export", job_id, "--format", "tar", "-o", "-"]
    environment = environ(CUCMD_SOCKET=str(daemon.socket))
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    _discard(subprocess.Popen(program, stdout=pipe, stderr=silent, env=environment))
    took, client = time.perf_counter() - began, cpu_of_children() - bare
    used = daemon.cpu() - before
    gib = size / (1 << 30)
    return {
        Figure("exported as tar", "MB/s"): size / took,
        Figure("    how many times as long as tar takes"): took / _tar(directory),
        Figure("    processor time of all for each GiB", "s", decides=True): (used + client) / gib,
        Figure("    of that the daemon's", "s"): used / gib,
    }
