"""Listening sockets: those of systemd, and those that cucmweb opens."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmweb.listeners import CannotListen, open_sockets
from rig.varlink_peer import short_path


@pytest.fixture
def path() -> Iterator[Path]:
    with short_path() as path:
        path.parent.mkdir()
        yield path


def test_unix_socket_mode(path: Path) -> None:
    with open_sockets(path) as opened:
        assert [address for _, address in opened] == [path]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_port_0_means_any_port() -> None:
    with open_sockets(("127.0.0.1", 0)) as ((bound, address),):
        host, port = bound.getsockname()
        assert address == (host, port)
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}"), open_sockets((host, port)):
            pass


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_ipv6_wildcard_accepts_ipv4() -> None:
    with open_sockets(("::", 0)) as ((bound, _),), socket.socket() as client:
        client.connect(("127.0.0.1", bound.getsockname()[1]))


def test_sockets_of_systemd_come_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    with socket.socket(socket.AF_UNIX) as first, socket.create_server(("127.0.0.1", 0)) as second:
        first.bind(str(path))
        os.dup2(first.fileno(), 100)
        os.dup2(second.fileno(), 101)
        with open_sockets(Path("/not/there"), first=100) as opened:
            assert [address for _, address in opened] == [path, second.getsockname()]
