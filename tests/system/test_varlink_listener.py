"""Tests the listening socket: its mode and group, and a socket that already exists."""

import contextlib
import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from cucmd.varlink import SocketInUse, open_unix_listener
from rig.example_interface import Example
from rig.varlink_peer import connected, served, serving

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to a group")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)


def read(path: Path) -> str:
    return path.read_text()


async def cannot_open(path: Path, error: type[OSError], match: str) -> None:
    with pytest.raises(error, match=match):
        async with open_unix_listener(path, 0o660, []):
            pass


async def test_socket_is_removed_with_server(socket_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        async with open_unix_listener(socket_path, 0o660, []):
            assert mode_of(socket_path) == 0o660
            assert mode_of(socket_path.parent) == (0o755 if os.geteuid() == 0 else 0o700)
    finally:
        os.umask(umask)
    assert names_in(socket_path.parent) == []


@as_root
async def test_socket_belongs_to_group(socket_path: Path) -> None:
    group = next(one for one in grp.getgrall() if one.gr_gid != 0)
    async with open_unix_listener(socket_path, 0o660, [], group=group.gr_name):
        assert os.stat(socket_path).st_gid == group.gr_gid
        assert mode_of(socket_path) == 0o660
    async with open_unix_listener(socket_path, 0o660, [], group="no-such-group"):
        assert os.stat(socket_path).st_gid == os.getegid()


async def test_second_server_is_refused(socket_path: Path) -> None:
    async with serving(socket_path, Example()):
        await cannot_open(socket_path, SocketInUse, f"another server listens at {socket_path}")
        async with connected(socket_path) as peer:
            assert "error" not in await peer.call("Who")
    assert names_in(socket_path.parent) == []


async def test_socket_in_use_is_kept(socket_path: Path) -> None:
    socket_path.parent.mkdir()
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(socket.socket(socket.AF_UNIX))
        other.bind(str(socket_path))
        other.listen(0)
        for _ in range(3):  # once more with a full queue
            await cannot_open(socket_path, SocketInUse, "another server")
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(socket_path))
        assert names_in(socket_path.parent) == [socket_path.name]


async def test_dead_socket_is_replaced(socket_path: Path) -> None:
    socket_path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    write(socket_path.parent / f".{os.getpid()}", "")
    async with serving(socket_path, Example()), connected(socket_path) as peer:
        assert "error" not in await peer.call("Who")
    assert names_in(socket_path.parent) == []


async def test_other_file_is_kept(socket_path: Path) -> None:
    socket_path.parent.mkdir()
    write(socket_path, "precious")
    await cannot_open(socket_path, FileExistsError, "not a socket")
    assert read(socket_path) == "precious"


async def test_replaced_socket_is_kept(socket_path: Path) -> None:
    async with open_unix_listener(socket_path, 0o660, []):
        write(socket_path, "another's")
    assert read(socket_path) == "another's"


async def test_too_long_path_is_named(socket_path: Path) -> None:
    await cannot_open(socket_path.parent / ("x" * 110), OSError, "x" * 110)
    assert names_in(socket_path.parent) == []


async def test_inherited_socket_stays(socket_path: Path) -> None:
    socket_path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as systemds, socket.socket() as of_another_kind:
        systemds.bind(str(socket_path))
        systemds.listen()
        inherited = [of_another_kind, systemds.dup()]
        async with (
            open_unix_listener(socket_path.parent / "unused", 0o660, inherited) as listener,
            served(listener, Example()),
            connected(socket_path) as peer,
        ):
            assert "error" not in await peer.call("Who")
        assert names_in(socket_path.parent) == [socket_path.name]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(
                str(socket_path)
            )  # systemd still listens, and would start the daemon again


async def test_other_kinds_are_not_inherited(socket_path: Path) -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        tcp.listen()
        async with (
            open_unix_listener(socket_path, 0o660, [tcp, datagrams]) as listener,
            served(listener, Example()),
            connected(socket_path) as peer,
        ):
            assert "error" not in await peer.call("Who")
