"""Runs `cucmweb serve` in front of a daemon, with clients that know HTTP and nothing of ours."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from cucmctl.client import errors
from cucmd.job.work_request import Collection, How, Login
from cucmd.protocol.jobs import Job, WatchReply
from cucmd.protocol.requests import CancelReply
from rig.daemon import Daemon
from rig.process import Child, die_with_parent
from rig.quiet import wait_until
from rig.readable_python import Python, readable_python

RIG = Path(__file__).parent
T = TypeVar("T")


class UnixConnection(http.client.HTTPConnection):
    """Connects to a server at a Unix socket."""

    def __init__(self, path: Path, timeout: float = 60) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


class Web(Child):
    """Holds a cucmweb: its socket, or its port of 127.0.0.1, and the file of its log."""

    def __init__(self, process: subprocess.Popen, path: Path, log: Path) -> None:
        super().__init__(process)
        self.socket = path
        self.port: int | None = None
        self.log = log

    def connection(
        self, timeout: float = 60, source: str = "127.0.0.1"
    ) -> http.client.HTTPConnection:
        """Opens a connection. `source` is the address from which it comes, for TCP."""
        if self.port is None:
            return UnixConnection(self.socket, timeout)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout, (source, 0))

    def asked(
        self,
        connection: http.client.HTTPConnection,
        verb: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Sends a request, its body as JSON; returns the reply, whose body is still to be read."""
        sent = {} if body is None else {"content-type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        connection.request(verb, path, content, {**sent, **(headers or {})})
        return connection.getresponse()

    @contextmanager
    def raw(self, sent: bytes = b"") -> Iterator[socket.socket]:
        """Yields a connection over which `sent` was sent.

        The other side may have closed it already.
        """
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(
                str(self.socket)
            )  # with a timeout, connect would not wait while the backlog is full
            sock.settimeout(60)
            with suppress(BrokenPipeError):
                sock.sendall(sent)
            yield sock

    def clients(self) -> int:
        """Returns how many connections cucmweb has accepted and not yet closed."""
        held = set(self.descriptors().values())
        lines = Path(f"/proc/{self.pid}/net/unix").read_text().splitlines()[1:]
        # The kernel shows the name under which the socket was bound first, in the same folder.
        rows = [line.split() for line in lines if f" {self.socket.parent}/" in line]
        return sum(f"socket:[{row[6]}]" in held and row[5] == "03" for row in rows)

    def ask(
        self, verb: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Returns the whole reply to one request, on a connection of its own."""
        with closing(self.connection()) as connection:
            reply = self.asked(connection, verb, path, body, headers)
            named = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, named, reply.read())

    @contextmanager
    def events(
        self, path: str, last: str | None = None, timeout: float = 60
    ) -> Iterator[Iterator[dict[str, str]]]:
        """Yields the events of a stream, each as its fields."""
        headers = {"last-event-id": last} if last else {}
        with closing(self.connection(timeout)) as connection:
            reply = self.asked(connection, "GET", path, None, headers)
            if reply.status != 200:
                raise refusal(reply.status, reply.read())
            yield events_of(reply)


def events_of(lines: Iterator[bytes]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        text = line.decode().rstrip("\n")
        if not text and event:
            if "data" in event:
                yield event
            event = {}
        elif text and not text.startswith(":"):
            name, _, value = text.partition(": ")
            event[name] = value


@contextmanager
def running_web(
    folder: Path,
    daemon_socket: Path,
    config: str = "",
    *,
    tcp: bool = False,
    environ: Mapping[str, str] | None = None,
    module: str = "cucmweb",
    program: str | None = None,
    user: int | None = None,
    groups: Sequence[int] = (),
) -> Iterator[Web]:
    """Yields a cucmweb that is ready, at a Unix socket or at any free TCP port.

    module: the module that Python runs instead of `cucmweb`, with its development checks
    program: an installed program to run instead
    user: the uid of the process, which must be able to read the folder
    groups: the supplementary groups of the process
    """
    folder.mkdir(exist_ok=True)
    file, log = folder / "cucmweb.toml", folder / "cucmweb.log"
    file.write_text(f'tokens = "{folder}/tokens.toml"\n{config}')
    with tempfile.TemporaryDirectory(prefix="cucmweb-") as short:
        path = Path(short, "http.sock")
        python = Python(sys.executable, {}) if user is None else readable_python()
        checked = [python.program, "-X", "dev", "-W", "error::ResourceWarning", "-m", module]
        command = checked if program is None else [program]
        listen = "127.0.0.1:0" if tcp else f"unix:{path}"
        command += ["serve", "--socket", str(daemon_socket), "--listen", listen]
        own = {**os.environ, **python.environ, **(environ or {})}
        # So that `module` can be of this package.
        own["PYTHONPATH"] = os.pathsep.join([str(RIG.parent), own.get("PYTHONPATH", "")])
        if user is not None:
            os.chown(short, user, -1)
            # Coverage writes to the working directory, which is closed to other users.
            own.pop("COVERAGE_PROCESS_START", None)
        with log.open("ab") as written:
            process = subprocess.Popen(
                [*command, "--config", str(file)],
                stdout=written,
                stderr=written,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,
                env=own,
                user=user,
                group=user,
                extra_groups=None if user is None else groups,
            )
        web = Web(process, path, log)
        try:
            wait_until(lambda: _listens(web, tcp=tcp) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield web
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
            said = log.read_text()
            assert process.returncode in (0, -signal.SIGTERM, -signal.SIGKILL), said
            assert "Traceback" not in said, said


def _listens(web: Web, *, tcp: bool) -> bool:
    if tcp and (said := re.findall(r"listening at 127\.0\.0\.1:(\d+)", web.log.read_text())):
        web.port = int(said[-1])
    return web.port is not None if tcp else web.socket.exists()


def refusal(status: int, body: bytes) -> Exception:
    """Makes the error of the socket that a problem document describes."""
    problem = json.loads(body)
    assert problem["status"] == status
    kind = getattr(errors, problem["code"], None)
    if kind is None or not issubclass(kind, errors.Refused):
        return AssertionError(problem)
    given = {"parameter": problem.get("field"), "reason": problem["detail"], **problem}
    fields = msgspec.defstruct(problem["code"], list(given))(**given)
    return kind(f"io.cucmd.Jobs.{problem['code']}", fields)


class DaemonOverHttp(Daemon):
    """Wraps a daemon so that its client calls over HTTP.

    Without `web`, each client has a cucmweb of its own.
    """

    def __init__(self, daemon: Daemon, web: Web | None = None) -> None:
        super().__init__(daemon.process, daemon.folder, daemon.socket)
        self._web = web

    @contextmanager
    def client(self) -> Iterator["WebClient"]:
        own = running_web(self.folder / "web", self.socket)
        with own if self._web is None else nullcontext(self._web) as web:
            yield WebClient(web)


class WebClient:
    """Offers the methods of `cucmctl.Client` that the tests of BE-020 use, over HTTP."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def start(
        self,
        nodes: Sequence[str],
        *,
        login: Login,
        work: Collection,
        how: How,
    ) -> Job:
        body = {
            "nodes": nodes,
            "login": login,
            "collection": work,
            "timeouts": how.timeouts,
            "concurrency": how.concurrency,
            "try_all": how.try_all,
        }
        return self._call("POST", "/jobs", Job, body, how.request_id)

    def status(self, job_id: str) -> Job:
        return self._call("GET", f"/jobs/{job_id}", Job)

    def cancel(
        self, job_id: str, nodes: Sequence[str] | None = None, *, request_id: str | None = None
    ) -> CancelReply:
        if nodes is None:
            path, body = f"/jobs/{job_id}/cancel", None
        elif len(nodes) == 1:
            path, body = f"/jobs/{job_id}/nodes/{nodes[0]}/cancel", None
        else:
            path, body = f"/jobs/{job_id}/cancel", {"nodes": nodes}
        return self._call("POST", path, CancelReply, body, request_id)

    def watch(self, job_id: str, *, timeout: float) -> Iterator[WatchReply]:
        """Yields the state of the job at each event."""
        with self._web.events(f"/jobs/{job_id}/events", timeout=timeout) as events:
            for number, _ in enumerate(events):
                yield WatchReply(number, 0, self.status(job_id))

    def wait(self, job_id: str) -> Job:
        for _ in self.watch(job_id, timeout=60):
            pass
        return self.status(job_id)

    def _call(
        self,
        verb: str,
        path: str,
        kind: type[T],
        body: object = None,
        request_id: str | None = None,
    ) -> T:
        headers = {} if request_id is None else {"x-request-id": request_id}
        answer = self._web.ask(verb, path, body, headers)
        if answer.status >= 400:
            raise refusal(answer.status, answer.body)
        return msgspec.json.decode(answer.body, type=kind)
