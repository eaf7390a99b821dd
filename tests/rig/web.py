"""A real `cucmweb serve` in front of a daemon, and clients that know HTTP and nothing of ours."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from cucmctl import Client
from cucmctl.client import errors
from cucmd.job.asked import How
from cucmd.protocol.jobs import CancelReply, Job, WatchReply
from rig.process import Child, die_with_parent
from rig.quiet import wait_until

needs_web = pytest.mark.skipif(
    not all(map(__import__("importlib.util").util.find_spec, ("hypercorn", "starlette"))),
    reason="needs the web stack: pip install -e '.[web]'",
)


class UnixConnection(http.client.HTTPConnection):
    """A connection to a server at a Unix socket."""

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
    """`socket` is where it listens, `log` the file of its log."""

    def __init__(self, process: subprocess.Popen, path: Path, log: Path) -> None:
        super().__init__(process)
        self.socket = path
        self.log = log

    def connection(self) -> UnixConnection:
        return UnixConnection(self.socket)

    def ask(
        self, verb: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own; the body as JSON."""
        sent = {} if body is None else {"content-type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        connection = self.connection()
        try:
            connection.request(verb, path, content, sent | (headers or {}))
            reply = connection.getresponse()
            named = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, named, reply.read())
        finally:
            connection.close()

    @contextmanager
    def events(self, path: str, last: str | None = None) -> Iterator[Iterator[dict[str, str]]]:
        """What a stream of events tells, each as its fields."""
        connection = self.connection()
        try:
            connection.request("GET", path, headers={"last-event-id": last} if last else {})
            reply = connection.getresponse()
            if reply.status != 200:
                raise refusal(reply.status, reply.read())
            yield events_of(reply)
        finally:
            connection.close()


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
def running_web(folder: Path, daemon_socket: Path, config: str = "") -> Iterator[Web]:
    """At a Unix socket, and ready. At its end it has stopped in order."""
    folder.mkdir(exist_ok=True)
    file, log = folder / "cucmweb.toml", folder / "cucmweb.log"
    file.write_text(f'tokens = "{folder}/tokens.toml"\n{config}')
    with tempfile.TemporaryDirectory(prefix="cucmweb-") as short:
        path = Path(short, "http.sock")
        command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-m", "cucmweb"]
        command += ["serve", "--socket", str(daemon_socket), "--listen", f"unix:{path}"]
        with log.open("ab") as written:
            process = subprocess.Popen(
                [*command, "--config", str(file)],
                stdout=written,
                stderr=written,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,
                env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            )
        web = Web(process, path, log)
        try:
            wait_until(lambda: path.exists() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield web
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
            said = log.read_text()
            assert process.returncode in (0, -signal.SIGTERM, -signal.SIGKILL), said
            assert "Traceback" not in said, said


def refusal(status: int, body: bytes) -> Exception:
    """The error of the socket that a problem document tells."""
    problem = json.loads(body)
    assert problem["status"] == status
    kind = getattr(errors, problem["code"], None)
    if kind is None or not issubclass(kind, errors.Refused):
        return AssertionError(problem)
    given = {"parameter": problem.get("field"), "reason": problem["detail"], **problem}
    fields = msgspec.defstruct(problem["code"], list(given))(**given)
    return kind(f"io.cucmd.Jobs.{problem['code']}", fields)


class WebClient:
    """What the tests of BE-020 use of `cucmctl.Client`, over HTTP."""

    def __init__(self, web: Web, socket_client: Client) -> None:
        self._web = web
        # Of what HTTP has not: host keys.
        self.host_keys = socket_client.host_keys
        self.forget_host_key = socket_client.forget_host_key

    def __enter__(self) -> "WebClient":
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def start(self, nodes, *, login, collection, timeouts, concurrency, how: How) -> Job:
        body = {
            "nodes": list(nodes),
            "login": login,
            "collection": collection,
            "timeouts": timeouts,
            "concurrency": concurrency,
            "try_all": how.try_all,
        }
        return self._call("POST", "/jobs", body, how.request_id, Job)

    def status(self, job_id: str) -> Job:
        return self._call("GET", f"/jobs/{job_id}", None, None, Job)

    def cancel(self, job_id: str, nodes=None, *, request_id: str | None = None) -> CancelReply:
        path, body = f"/jobs/{job_id}/cancel", {} if nodes is None else {"nodes": nodes}
        if nodes is not None and len(nodes) == 1:
            path, body = f"/jobs/{job_id}/nodes/{nodes[0]}/cancel", None
        return self._call("POST", path, body, request_id, CancelReply)

    def watch(self, job_id: str, *, timeout: float) -> Iterator[WatchReply]:
        """Its state at each event."""
        with self._web.events(f"/jobs/{job_id}/events") as events:
            for number, _ in enumerate(events):
                yield WatchReply(number, 0, self.status(job_id))

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        for _ in self.watch(job_id, timeout=timeout or 60):
            pass
        return self.status(job_id)

    def _call(self, verb: str, path: str, body, request_id: str | None, kind):
        headers = {} if request_id is None else {"x-request-id": request_id}
        answer = self._web.ask(verb, path, body, headers)
        if answer.status >= 400:
            raise refusal(answer.status, answer.body)
        return msgspec.json.decode(answer.body, type=kind)
