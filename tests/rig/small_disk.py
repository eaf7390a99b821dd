"""A tmpfs of a few MiB that a test can fill. Needs root to mount it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.quiet import wait_until

MIB = 2**20


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """Mounted at `folder`, which is made. Skips the test where nothing can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small tmpfs")
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "none", str(folder)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    if refused:
        pytest.skip(f"no tmpfs can be mounted here: {refused.strip()}")
    try:
        yield folder
    finally:
        # A daemon that was killed takes what it has forked along, a moment later.
        wait_until(lambda: not subprocess.run(["umount", str(folder)], check=False).returncode)


def free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def fill(folder: Path, leave: int = 0) -> Path:
    """Makes a file that takes all space but `leave` bytes. Deleting it frees the space."""
    # A thread of a test that has ended would fill the machine's own disk.
    assert free(folder) < 1024 * MIB, f"{folder} is no small disk"
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, free(folder) - leave)
    return filler
