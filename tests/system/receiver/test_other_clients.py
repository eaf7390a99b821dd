"""paramiko pushes a file, and is refused everything else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import paramiko
import pytest


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
async def test_paramiko_pushes(target: Any, other: Any, log: Path) -> None:
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
