"""Starts daemons in forks of a process that has imported the daemon already.

Such a start takes a tenth of the usual time, so that a test can start hundreds. This is a module of
its own because the forked process imports it by its name.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.util import get_temp_dir
from pathlib import Path

from cucmctl import Client, DaemonUnavailable
from rig.lab import Lab
from rig.quiet import wait_until

CONFIG = """\
[receiver]
listen = "127.0.0.1:0"
[retry]
base = 0.05
[limits]
jobs = 3
free_space_percent = 0
free_space_bytes = 0
[credentials]
directory = "{credentials}"
"""


def serve(arguments: list[str], log: str) -> None:
    """Runs `cucmd` with these arguments. Its standard output and error go to `log`."""
    from cucmd.main import main

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    raise SystemExit(main(arguments))


def start_fork_server() -> None:
    """Starts the processes that multiprocessing starts once and keeps, before a test is checked."""
    get_temp_dir()
    resource_tracker.ensure_running()
    forkserver.set_forkserver_preload(["cucmd.main", "cucmd.service.daemon"])
    forkserver.ensure_running()


class Installation:
    """Holds configuration and state of a daemon, with the credential `lab` for the nodes."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder, self.lab = folder, lab
        self.socket = folder / "s"
        self.state = folder / "state"
        self.processes = multiprocessing.get_context("forkserver")
        credentials = folder / "credentials"
        credentials.mkdir(mode=0o700)
        for name, text in (("username", lab.username), ("password", lab.password)):
            (credentials / f"lab.{name}").touch(0o600)
            (credentials / f"lab.{name}").write_text(text)
        (folder / "cucmd.toml").write_text(CONFIG.format(credentials=credentials))

    @contextmanager
    def daemon(self) -> Iterator[multiprocessing.process.BaseProcess]:
        """Yields the process of a daemon that answers. Kills it at the end."""
        arguments = [
            "serve",
            f"--config={self.folder}/cucmd.toml",
            f"--socket={self.socket}",
            f"--state-dir={self.state}",
        ]
        process = self.processes.Process(target=serve, args=(arguments, f"{self.folder}/log"))
        process.start()
        try:
            wait_until(lambda: not process.is_alive() or self.listens())
            assert process.is_alive(), (self.folder / "log").read_text()[-4000:]
            yield process
        finally:
            process.kill()
            process.join()
            process.close()

    def clients(self) -> int:
        """Counts the connections to the socket, with those that are not accepted yet."""
        lines = Path("/proc/net/unix").read_text().splitlines()[1:]
        rows = [line.split() for line in lines if f" {self.folder}/" in line]
        return sum(row[5] != "01" for row in rows)  # state 01 is the socket that listens

    def listens(self) -> bool:
        try:
            with Client(self.socket) as client:
                client.list(limit=1)
        except DaemonUnavailable:
            return False
        return True
