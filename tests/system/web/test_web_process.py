"""The process `cucmweb serve`: start, stop and watchdog."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.process import Child, die_with_parent
from rig.varlink_peer import short_path


@pytest.fixture
def path() -> Iterator[Path]:
    with short_path() as path:
        path.parent.mkdir()
        yield path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "cucmweb.toml"
    file.write_text(f'tokens = "{tmp_path / "tokens.toml"}"\n')
    return file


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of $NOTIFY_SOCKET that systemd would read."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(30)
        yield end


@contextmanager
def serving(
    config: Path, notices: socket.socket, *options: str, environ: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Yields a server that has sent READY=1."""
    command = [sys.executable, "-m", "cucmweb", "serve", "--config", str(config), *options]
    own = {"NOTIFY_SOCKET": notices.getsockname(), **(environ or {})}
    process = subprocess.Popen(command, env=os.environ | own, preexec_fn=die_with_parent)
    child = Child(process)
    try:
        assert notices.recv(4096) == b"READY=1"
        yield child
    finally:
        child.stop()


def ask(path: Path, **headers: str) -> int:
    """Returns the status of the reply to a request at a Unix socket."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", "/openapi.json", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_systemd_is_notified(config: Path, path: Path, notices: socket.socket) -> None:
    with serving(config, notices, "--listen", f"unix:{path}") as child:
        assert ask(path) == 200
        child.signal(signal.SIGTERM)
        assert notices.recv(4096) == b"STOPPING=1"
        assert child.process.wait(30) == 0
    assert not path.exists()


def test_the_watchdog_hears_of_it(config: Path, path: Path, notices: socket.socket) -> None:
    environ = {"WATCHDOG_USEC": "200000"}
    with serving(config, notices, "--listen", f"unix:{path}", environ=environ):
        assert [notices.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_tcp_without_tokens_exits_78(config: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cucmweb", "serve", "--config", str(config)]
    listen = ["--listen", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, *listen], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert "cucmweb token add" in done.stderr
