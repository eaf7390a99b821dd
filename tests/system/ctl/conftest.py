"""A daemon that sends canned frames, and `cucmctl` in front of it: within this process, in one of
its own, and on a terminal.

Frames are written as JSON, and not with the structs that are tested.
"""

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from cucmctl.main import main
from rig.gpg_home import gpg_home
from system.ctl.terminal import Terminal

PATIENCE = 30
JOB_ID = "3f2a00112233"


class Canned:
    """Listens at `path`; `calls` has the methods and parameters that came, in order.

    Each method has steps: bytes are sent, a function is called for a reply, an `Event` is waited
    for, and None closes the connection. A method that looks up names, and has no steps, is
    unknown. A `Start` of other work than a collection is named by the work: `Start:commands`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[tuple[str, dict]] = []
        self.connections = 0
        self._steps: dict[str, list[tuple]] = {}
        self._called = threading.Condition()
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @staticmethod
    def reply(parameters: dict, *, continues: bool = False) -> bytes:
        more = {"continues": True} if continues else {}
        return json.dumps({"parameters": parameters, **more}).encode() + b"\0"

    @staticmethod
    def error(name: str, **parameters: object) -> bytes:
        full = name if "." in name else f"io.cucmd.Jobs.{name}"
        return json.dumps({"error": full, "parameters": parameters}).encode() + b"\0"

    def on(self, method: str, *steps: bytes | Callable | threading.Event | None) -> None:
        self.on_each(method, steps)

    def on_each(self, method: str, *calls: tuple) -> None:
        """Sets the steps of the first call, of the second, and so on; those of the last stay."""
        self._steps[method if "." in method else f"io.cucmd.Jobs.{method}"] = list(calls)

    def on_list(self, by_status: dict[str | None, list]) -> None:
        """Answers `List` as the daemon does: by status, and limited."""
        self.on(
            "List", lambda asked: {"jobs": by_status[asked.get("status")][: asked.get("limit", 20)]}
        )

    def watch(self, *jobs: dict, then: threading.Event | None = None) -> None:
        """Sets a watch that shows these states and, unless there is an event to wait for, ends."""
        changes = [
            self.reply(
                {"sequence": number, "missed": 0, "job": job},
                continues=then is not None or number < len(jobs) - 1,
            )
            for number, job in enumerate(jobs)
        ]
        self.on("Watch", *changes, *([then] if then else []))

    def until_called(self, method: str) -> None:
        with self._called:
            called = self._called.wait_for(
                lambda: any(name == method for name, _ in self.calls), PATIENCE
            )
        assert called, f"{method} was not called"

    def close(self) -> None:
        for calls in self._steps.values():
            for step in (step for steps in calls for step in steps):
                if isinstance(step, threading.Event):
                    step.set()
        for one in (self._listener, *self._open):
            _shut(one)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            buffer = b""
            try:
                while chunk := stream.read1(65536):
                    *frames, buffer = (buffer + chunk).split(b"\0")
                    for frame in frames:
                        self._answer(connection, json.loads(frame))
            except OSError:
                pass  # the client has closed the connection
        self._open.discard(connection)

    def _answer(self, connection: socket.socket, call: dict) -> None:
        with self._called:
            full = call["method"] + _other_work(call["parameters"])
            method = full.removeprefix("io.cucmd.Jobs.")
            self.calls.append((method, call["parameters"]))
            self._called.notify_all()
        if method in ("Clusters", "Profiles", "Credentials"):
            unknown = self.error("org.varlink.service.MethodNotFound", method=call["method"])
            self._steps.setdefault(call["method"], [(unknown,)])
        calls = self._steps[full]
        for step in calls.pop(0) if len(calls) > 1 else calls[0]:
            if step is None:
                _shut(connection)
            elif isinstance(step, threading.Event):
                step.wait(PATIENCE)
            elif callable(step):
                connection.sendall(self.reply(step(call["parameters"])))
            else:
                connection.sendall(step)


def _other_work(parameters: dict) -> str:
    kinds = ("commands", "check", "capture", "discovery", "follow")
    return "".join(f":{kind}" for kind in kinds if isinstance(parameters.get(kind), dict))


def _shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already closed


def make_node(node: str = "ccm-pub", status: str = "succeeded", **fields: object) -> dict:
    ended = status in ("succeeded", "failed", "cancelled")
    return {
        "node": node,
        "status": status,
        "phase": "transfer" if status == "running" else None,
        "attempt": 1,
        "error": None,
        "failure": None,
        "notes": [],
        "started_at": None if status == "pending" else "2026-03-01T08:00:00Z",
        "completed_at": "2026-03-01T08:00:42Z" if ended else None,
        "files_announced": 4,
        "bytes_announced": 4_000_000,
        "files_received": 4 if ended else 1,
        "bytes_received": 4_000_000 if ended else 1_000_000,
        **fields,
    }


def make_job(status: str = "succeeded", *nodes: dict, **fields: object) -> dict:
    ended = status not in ("queued", "running")
    return {
        "job_id": JOB_ID,
        "status": status,
        "cancelled": status == "cancelled",
        "closed": ended,
        "revision": 3,
        "kind": "collect",
        "created_at": "2026-03-01T08:00:00Z",
        "started_at": "2026-03-01T08:00:00Z",
        "completed_at": "2026-03-01T08:00:42Z" if ended else None,
        "directory": f"/var/lib/cucmd/jobs/{JOB_ID}",
        "collection": {"paths": ["cm/trace/ccm/sdl"]},
        "timeouts": {"connect": 30.0},
        "concurrency": 8,
        "resumable": False,
        "retries": 0,
        "nodes": list(nodes or [make_node(status="running" if not ended else "succeeded")]),
        **fields,
    }


def make_summary(status: str = "succeeded", **fields: object) -> dict:
    return {
        "job_id": JOB_ID,
        "status": status,
        "revision": 3,
        "kind": "collect",
        "created_at": "2026-03-01T08:00:00Z",
        "completed_at": None,
        "nodes_total": 3,
        "nodes_done": 3,
        "nodes_succeeded": 3,
        "nodes_failed": 0,
        "bytes_received": 123_456_789,
        "first_node": "ccm-pub",
        "collection": {"paths": ["cm/trace/ccm/sdl"]},
        **fields,
    }


@pytest.fixture
def canned():
    # The path of a socket has at most 107 bytes; pytest's folders can be longer.
    with TemporaryDirectory(prefix="cucmctl-") as folder:
        canned = Canned(Path(folder) / "sock")
        yield canned
        canned.close()


@pytest.fixture
def node():
    return make_node


@pytest.fixture
def job():
    return make_job


@pytest.fixture
def summary():
    return make_summary


@pytest.fixture
def environ(tmp_path):
    """The environment of a person, without anything that leads to a real daemon."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    return {**kept, "TERM": "xterm-256color", "TZ": "UTC", "XDG_RUNTIME_DIR": str(tmp_path)}


class Done(NamedTuple):
    """What a command has returned and printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def ctl(canned, tmp_path, monkeypatch):
    """Runs `cucmctl` within this process, without a terminal: `ctl("status", TZ="Europe/Rome")`.

    Tests of signals, of closed streams and of the terminal start a process instead.
    """
    for name in ("NO_COLOR", "COLUMNS", "LINES", "CUCMD_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    def _ctl(*arguments, typed="", **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        time.tzset()
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "12")
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        with redirect_stdout(out), redirect_stderr(err):
            code = main(["--socket", str(canned.path), *arguments])
        return Done(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))

    yield _ctl
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def process(canned, environ):
    """Starts `cucmctl` in a process of its own, in a session without a terminal."""

    def _process(*arguments, **options):
        command = [sys.executable, "-X", "dev", "-W", "error", "-m", "cucmctl"]
        options = {"stdin": subprocess.DEVNULL, "env": environ, **options}
        return subprocess.Popen(
            [*command, "--socket", str(canned.path), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    return _process


@pytest.fixture
def in_shell(canned, environ):
    """Starts a shell command in which `$CUCMCTL` is the client; gives the shell's process."""

    def _in_shell(command):
        client = f"{sys.executable} -m cucmctl --socket {canned.path}"
        return subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environ, "CUCMCTL": client},
        )

    return _in_shell


@pytest.fixture
def terminal(canned, environ):
    """Runs `cucmctl` on a terminal, or `within` a shell on one: `terminal("watch", columns=80)`."""
    opened = []

    def _terminal(*arguments, columns=80, rows=24, within=(), **more):
        command = [
            *within,
            sys.executable,
            "-m",
            "cucmctl",
            "--socket",
            str(canned.path),
            *arguments,
        ]
        opened.append(Terminal(command, {**environ, **more}, columns, rows))
        return opened[-1]

    yield _terminal
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def gpg(tmp_path_factory):
    with gpg_home(tmp_path_factory.mktemp("gpg") / "home") as home:
        yield home
