"""Where it listens: at systemd's sockets, or at one of its own."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmweb.listeners import CannotListen, open_sockets, written
from rig.varlink_peer import short_path


@pytest.fixture
def path() -> Iterator[Path]:
    with short_path() as path:
        path.parent.mkdir()
        yield path


def test_a_unix_socket_is_for_its_owner_and_its_group(path: Path) -> None:
    with open_sockets(path) as opened:
        assert [address for _, address in opened] == [path]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_the_socket_of_another_server_is_not_taken(path: Path) -> None:
    with open_sockets(path), pytest.raises(CannotListen), open_sockets(path):
        pass


def test_what_a_dead_server_has_left_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with open_sockets(path) as opened:
        assert len(opened) == 1


def test_at_port_0_any_free_one_is_taken() -> None:
    with open_sockets(("127.0.0.1", 0)) as ((bound, address),):
        host, port = bound.getsockname()
        assert address == (host, port)
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}"), open_sockets((host, port)):
            pass


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_of_ipv6_are_those_of_ipv4_too() -> None:
    with open_sockets(("::", 0)) as ((bound, _),), socket.socket() as client:
        client.connect(("127.0.0.1", bound.getsockname()[1]))


def test_a_host_that_there_is_not_is_named() -> None:
    with pytest.raises(CannotListen, match=r"none\.invalid:80"), open_sockets(("none.invalid", 80)):
        pass


def test_the_sockets_of_systemd_come_before_its_own(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cucmd.service.systemd.FIRST_DESCRIPTOR", 100)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    with socket.socket(socket.AF_UNIX) as first, socket.create_server(("127.0.0.1", 0)) as second:
        first.bind(str(path))
        os.dup2(first.fileno(), 100)
        os.dup2(second.fileno(), 101)
        with open_sockets(Path("/not/there")) as opened:
            assert [address for _, address in opened] == [path, second.getsockname()]


def test_addresses_are_written_as_the_configuration_has_them() -> None:
    addresses = [Path("/a"), ("127.0.0.1", 80), ("::1", 80)]
    assert list(map(written, addresses)) == ["unix:/a", "127.0.0.1:80", "[::1]:80"]
