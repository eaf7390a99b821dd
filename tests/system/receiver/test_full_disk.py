"""A real disk that is full, and one that is nearly so: the upload is refused, the rest goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cucmd.failure import Code
from cucmd.receiver.limits import MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a small tmpfs")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mounts a disk of 16 MiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(mounted)]
    refused = subprocess.run(mount, capture_output=True, text=True, check=False).stderr
    if refused:
        pytest.skip(f"no tmpfs can be mounted here: {refused.strip()}")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(40 * MIB)
    return path


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, free(path))


def free(path: Path) -> int:
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


@pytest.mark.long
async def test_a_full_disk_fails_the_push_with_disk_full_and_not_the_neighbour(
    receiver: Any, open_target: Any, openssh: Any, small: Path, large: Path
) -> None:
    target, neighbour = open_target(receiver, small / "target"), open_target(receiver, "neighbour")
    assert (await openssh.sftp(target, "put /etc/hostname before\n")).returncode == 0
    done = await openssh.sftp(target, f"put {large} a\n")
    assert done.returncode == 1
    assert target.target.refusal.code == Code.DISK_FULL
    assert [(file.path, file.closed) for file in target.target.files()] == [
        ("before", True),
        ("a", False),
    ]
    assert (await openssh.sftp(neighbour, "put /etc/hostname a\n")).returncode == 0


@pytest.mark.long
async def test_below_the_floor_not_even_an_empty_file_is_begun(
    open_with: Any, open_target: Any, openssh: Any, small: Path
) -> None:
    async with open_with(min_free_bytes=100 * MIB) as receiver:
        target = open_target(receiver, small / "target")
        (small / "empty").touch()
        assert (await openssh.sftp(target, f"put {small}/empty a\n")).returncode == 1
        assert target.target.refusal.code == Code.DISK_FULL
        assert target.names() == []
    assert free(small) > 15 * MIB


@pytest.mark.long
async def test_a_disk_that_is_full_before_the_first_file_is_named(
    receiver: Any, open_target: Any, openssh: Any, small: Path
) -> None:
    fill(small / "filler")
    target = open_target(receiver, small / "target")
    await openssh.sftp(target, "mkdir d\nput /etc/hostname a\n")
    assert target.target.refusal is not None
    assert target.target.refusal.code == Code.DISK_FULL
