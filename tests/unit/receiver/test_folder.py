"""Links and other entries in the target do not lead out of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cucmd.receiver.limits import Status
from cucmd.receiver.sftp_packets import PacketType
from rig import sftp_words as words


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*")}


@pytest.fixture(params=["link to a folder", "link to a file", "dangling link", "pipe", "hard link"])
def trap(request: pytest.FixtureRequest, client: Any, outside: Path) -> bytes:
    """Makes a link or a pipe in the target, and returns its name."""
    path = client.folder / "trap"
    match request.param:
        case "link to a folder":
            path.symlink_to(outside)
        case "link to a file":
            path.symlink_to(outside / "secret")
        case "dangling link":
            path.symlink_to(outside / "new")
        case "pipe":
            os.mkfifo(path)
        case "hard link":
            path.hardlink_to(outside / "secret")
    return b"trap"


def test_nothing_outside_is_changed(client: Any, outside: Path, trap: bytes) -> None:
    before, times = contents(outside), (outside / "secret").stat().st_mtime_ns
    client.put(trap, b"overwritten")
    for below in (b"/secret", b"/new"):
        assert client.open(trap + below).status in {Status.FAILURE, Status.NO_SUCH_FILE}
    client.mkdir(trap)
    client.mkdir(trap + b"/new")
    for path in (trap, trap + b"/secret"):
        client.on_path(PacketType.SETSTAT, path, words.set_times(1, 1))
    client.on_path(PacketType.OPENDIR, trap)
    assert contents(outside) == before
    assert (outside / "secret").stat().st_mtime_ns == times
    # The client's file got a name of its own.
    assert (client.folder / "trap.2").read_bytes() == b"overwritten"


def test_links_and_pipes_are_hidden(client: Any, outside: Path) -> None:
    (client.folder / "link").symlink_to(outside / "secret")
    os.mkfifo(client.folder / "pipe")
    client.put(b"a", b"1")
    for name in (b"link", b"pipe"):
        assert client.on_path(PacketType.LSTAT, name).status == Status.NO_SUCH_FILE
    handle = client.on_path(PacketType.OPENDIR, b"/").handle
    assert client.ask(words.on_handle(PacketType.READDIR, 1, handle)).names == [b"a"]
    assert client.ask(words.on_handle(PacketType.READDIR, 1, handle)).status == Status.EOF


def test_other_users_cannot_read(client: Any) -> None:
    client.mkdir(b"d")
    client.put(b"d/a", b"1")
    assert (client.folder / "d").stat().st_mode & 0o007 == 0
    assert (client.folder / "d" / "a").stat().st_mode & 0o117 == 0


def test_huge_folder_is_listed_in_part(client: Any) -> None:
    for number in range(5100):
        (client.folder / str(number)).touch()
    handle = client.on_path(PacketType.OPENDIR, b"/").handle
    told = 0
    while (
        reply := client.ask(words.on_handle(PacketType.READDIR, 1, handle))
    ).kind == PacketType.NAME:
        told += len(reply.names)
    assert told == 5000
