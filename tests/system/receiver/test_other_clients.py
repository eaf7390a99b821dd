"""Clients that are not OpenSSH: their habits differ, and what they push is whole all the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest
import trio

from cucmd.ssh.bridge import on_asyncio, open_bridge


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_bytes(os.urandom(2_000_000))
    return path


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_whole(target: Any, log: Path) -> bool:
    (file,) = target.target.files()
    return file.closed and file.sha256 == sha(log) and file.path == "d/a.log"


@pytest.mark.long
async def test_paramiko_pushes_and_looks_after_what_it_pushed(
    target: Any, other: Any, log: Path
) -> None:
    def push() -> None:
        with other.logged_in(target) as transport:
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            client.mkdir("d")
            assert client.put(str(log), "/d/a.log", confirm=True).st_size == 2_000_000
            client.utime("/d/a.log", (5, 7))
            assert client.listdir("/d") == ["a.log"]
            assert client.normalize("d/./a.log") == "/d/a.log"
            for refused in (
                lambda: client.open("/d/a.log", "r"),
                lambda: client.open("/d/a.log", "a"),
                lambda: client.open("/d/a.log", "x"),
                lambda: client.remove("/d/a.log"),
                lambda: client.truncate("/d/a.log", 0),
                lambda: client.symlink("/etc/passwd", "link"),
                lambda: client.posix_rename("/d/a.log", "/b"),
            ):
                with pytest.raises(OSError, match=r".+"):
                    refused()

    await other.run(push)
    assert is_whole(target, log)
    assert target.target.files()[0].modified == 7
    assert target.names() == ["d", "d/a.log"]


@pytest.mark.long
async def test_asyncssh_pushes_a_tree(target: Any, log: Path) -> None:
    async def push() -> None:
        async with (
            asyncssh.connect(
                "127.0.0.1",
                target.port,
                username=target.target.username,
                password=target.target.password,
                known_hosts=None,
                client_keys=None,
                agent_path=None,
                config=None,
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            await client.mkdir("d")
            await client.put(str(log), "d", preserve=True)

    with trio.fail_after(30):
        async with open_bridge():
            await on_asyncio(push)
    await target.target.wait_files_closed()
    assert is_whole(target, log)
    assert target.target.files()[0].modified == int(log.stat().st_mtime)
