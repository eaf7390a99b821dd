"""Runs `cucmd lab` as a process."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rig import written
from rig.process import Child, die_with_parent


class Lab(Child):
    """Holds a lab. `nodes` are the addresses in order; all nodes have the same login."""

    def __init__(self, process: subprocess.Popen, facts: dict) -> None:
        super().__init__(process)
        self.nodes: list[str] = facts["nodes"]
        self.username: str = facts["username"]
        self.password: str = facts["password"]
        written.PASSWORDS.add(self.password)

    def report(self) -> dict:
        """Returns the counters of the lab (`LabCounters`), and those of each node below `nodes`."""
        self.signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def stop(self, within: float = 30.0) -> int:
        """Stops the lab as `Child.stop` does, and reads its last report.

        Otherwise a report that is larger than the buffer of the pipe would block the lab.
        """
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.process.args} did not end within {within} s") from None
        return self.process.returncode


def free_port() -> str:
    """Finds a port for labs whose nodes must have the same port, or the port of an earlier lab.

    It is below the ports that Linux chooses itself, so that no other program gets it.
    """
    while True:
        port = random.randint(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return str(port)


@contextmanager
def running_lab(nodes: int, *options: str, module: str = "cucmd") -> Iterator[Lab]:
    """Runs a lab. `module` is what Python runs instead of `cucmd`."""
    command = [sys.executable, "-m", module, "lab", "--nodes", str(nodes), "--port", "0"]
    search = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [*command, "--report", *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search))},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    line = process.stdout.readline()
    assert line, "the lab did not start"
    lab = Lab(process, json.loads(line))
    try:
        yield lab
    finally:
        lab.stop()
