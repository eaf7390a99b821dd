"""Runs a daemon of any version since 0.1.0 and looks at it from outside.

This module imports nothing of `cucmd` and `cucmctl`, and calls only what 0.1.0 has.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from installed import Version
from rig.process import Child, die_with_parent

CONFIG = """\
[receiver]
listen = "127.0.0.1:0"
[retry]
attempts = 1
[ssh]
host_keys = "off"
[limits]
free_space_percent = 0
free_space_bytes = 0
connections = {connections}
"""
SDL = "cm/trace/ccm/sdl"
# A daemon that has nothing to do uses less than BARELY seconds of the processor in QUIET seconds.
QUIET, BARELY = 0.3, 0.02


class Wire:
    """Calls methods of `io.cucmd.Jobs`, one after the other."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._received = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Calls a method. Raises `RuntimeError` on an error reply, `EOFError` on no reply."""
        request = {"method": f"io.cucmd.Jobs.{method}", "parameters": parameters}
        self._socket.sendall(json.dumps(request).encode() + b"\0")
        while b"\0" not in self._received:
            data = self._socket.recv(1 << 20)
            if not data:
                raise EOFError(method)
            self._received += data
        frame, _, self._received = self._received.partition(b"\0")
        reply = json.loads(frame)
        if "error" in reply:
            raise RuntimeError(reply)
        return reply.get("parameters", {})

    def job(self, job_id: str) -> dict[str, Any]:
        return self.call("Status", job_id=job_id)["job"]

    def start(self, login: Any, nodes: Sequence[str]) -> str:
        """Starts a job without a window on all nodes at once; returns its id.

        login: a lab or a node.
        """
        job = self.call(
            "Start",
            nodes=list(nodes),
            login={"username": login.username, "password": login.password},
            collection={"paths": [SDL], "compress": False},
            concurrency=len(nodes),
            timeouts={"connect": 300, "stall": 600, "command": 3600},
        )["job"]
        return job["job_id"]

    def wait(self, job_id: str, within: float = 600) -> dict[str, Any]:
        """Waits until the job has ended, and returns it."""
        ends = time.monotonic() + within
        while (job := self.job(job_id))["status"] in ("queued", "running"):
            assert time.monotonic() < ends, f"the job did not end within {within:g} s"
            time.sleep(0.1)
        return job


class DaemonProcess(Child):
    """A running daemon, with all processes that it starts."""

    def __init__(self, process: subprocess.Popen, version: Version, folder: Path, path: Path):
        super().__init__(process)
        self.version = version
        self.socket = path
        self.state = folder / "state"
        self._log = folder / "daemon.log"

    def wire(self) -> Wire:
        return Wire(self.socket)

    def memory(self) -> int:
        """Returns the memory of all processes, in bytes; shared pages count once."""
        return sum(_memory(pid) for pid in self.tree())

    def wait_until_idle(self, within: float = 30.0) -> None:
        """Waits until the daemon has nothing to do, since it goes on after the end of a job."""
        ends = time.monotonic() + within
        before = self.cpu()
        while time.monotonic() < ends:
            time.sleep(QUIET)
            if (now := self.cpu()) - before < BARELY:
                return
            before = now

    def log_end(self) -> str:
        """Returns the end of its log."""
        return self._log.read_text()[-2000:]


@contextmanager
def running_daemon_of(
    version: Version, folder: Path, connections: int = 8
) -> Iterator[DaemonProcess]:
    """Runs a daemon in a folder; yields it once it answers. `state` may be there already."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "cucmd.toml"
    config.write_text(CONFIG.format(connections=connections))
    # The path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cucmd-") as short:
        path = Path(short) / "cucmd.sock"
        with (folder / "daemon.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(version.bin / "cucmd", "serve", "--config", config, "--socket", path),
                    *("--state-dir", folder / "state"),
                ],
                stdout=log,
                stderr=log,
                env=clean_environ(),
                preexec_fn=die_with_parent,
            )
        daemon = DaemonProcess(process, version, folder, path)
        try:
            _wait_for(daemon)
            yield daemon
        finally:
            daemon.stop()


def clean_environ(**more: str) -> dict[str, str]:
    """Returns the environment of this process, without what changes Python or the programs."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "COVERAGE", "CUCMD"))
    }
    return ours | more


def _wait_for(daemon: DaemonProcess) -> None:
    ends = time.monotonic() + 60
    while True:
        try:
            with daemon.wire() as wire:
                wire.call("List")
                return
        except OSError:
            assert daemon.process.poll() is None, daemon.log_end()
            assert time.monotonic() < ends, daemon.log_end()
            time.sleep(0.1)


def cpu_of_children() -> float:
    """Returns the processor time of all ended children and their children, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
