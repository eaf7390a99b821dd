"""Measures how fast and in how much memory a job is exported, beside `tar` of its files.

The file was sparse when the daemon received it, and is in the page cache. Both sides read and hash
every byte. On a machine that does other work too, only processor time can be compared.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from rig import openssh_node
from served import SDL, DaemonProcess, clean_environ, cpu_of_children, running_daemon_of


def reason_to_skip(versions: Sequence[Version]) -> str | None:
    for version in versions:
        asked = [version.bin / "cucmctl", "export", "--help"]
        if subprocess.run(asked, capture_output=True, env=clean_environ(), check=False).returncode:
            return f"{version.name} has no export"
    return openssh_node.reason_to_skip()


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
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
            daemon = stack.enter_context(running_daemon_of(version, folder / str(place)))
            with daemon.wire() as wire:
                job_id = wire.start(node, [node.address])
                job = wire.wait(job_id)
            assert job["status"] == "succeeded", job
            daemon.wait_until_idle()
            measures.append(partial(_measure, daemon, job_id, Path(job["directory"]), size))
        yield measures


def _measure(daemon: DaemonProcess, job_id: str, directory: Path, size: int) -> Sample:
    """Exports a file of zeros, which is in the page cache."""
    used = daemon.cpu()
    took, cpu, memory = _measure_cost(partial(_export, daemon, job_id))
    used = daemon.cpu() - used
    theirs, cpu_of_theirs, _ = _measure_cost(partial(_run_tar, directory))
    gib = size / (1 << 30)
    return {
        Figure("exported as tar", "MB/s"): size / took,
        Figure("    how many times as long as tar takes"): took / theirs,
        Figure("    how much of the processor's time"): (used + cpu) / cpu_of_theirs,
        Figure("    processor time of all for each GiB", "s", decides=True): (used + cpu) / gib,
        Figure("    of that the daemon's", "s"): used / gib,
        Figure("    memory of the client", "MB"): memory,
    }


def _measure_cost(run: Callable[[], int]) -> tuple[float, float, int]:
    """Returns the time and the processor time of `run`, in seconds, and what `run` returns."""
    cpu, began = cpu_of_children(), time.perf_counter()
    found = run()
    return time.perf_counter() - began, cpu_of_children() - cpu, found


def _export(daemon: DaemonProcess, job_id: str) -> int:
    """Exports the job; returns the most memory that the client took, in bytes."""
    program = [daemon.version.bin / "cucmctl", "export", job_id, "--format", "tar", "-o", "-"]
    environment = clean_environ(CUCMD_SOCKET=str(daemon.socket))
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    return _discard(subprocess.Popen(program, stdout=pipe, stderr=silent, env=environment))


def _run_tar(folder: Path) -> int:
    """Runs `tar -c | tee >(sha256sum) | cat`. Without `--sparse` tar reads the holes too."""
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with (
        subprocess.Popen(["sha256sum"], stdin=pipe, stdout=silent) as summed,
        subprocess.Popen(["tar", "-c", "-C", folder, "."], stdout=pipe) as tar,
    ):
        second = summed.stdin.fileno()
        tee = subprocess.Popen(
            ["tee", f"/dev/fd/{second}"], stdin=tar.stdout, stdout=pipe, pass_fds=[second]
        )
        memory = _discard(tee)
    assert tar.returncode == 0
    return memory


def _discard(process: subprocess.Popen) -> int:
    """Discards what the process prints; returns the most memory that it took, in bytes."""
    with process, open("/dev/null", "wb") as nowhere:
        subprocess.run(["cat"], stdin=process.stdout, stdout=nowhere, check=True)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * 1024
