"""Mounts disks of a few MiB that a test can fill, or that can hang. Needs root."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.quiet import wait_until

MIB = 2**20
MKFS = "/usr/sbin/mkfs.ext4"


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """Mounts a tmpfs at a new folder. Skips the test if nothing can be mounted here."""
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "none"):
        yield folder


@contextmanager
def disk_that_can_hang(folder: Path, mib: int) -> Iterator[Path]:
    """Mounts an ext4 from a file beside the folder. `hanging` can make it hang."""
    if not Path(MKFS).exists():
        pytest.skip(f"needs {MKFS}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(mib * MIB)
    subprocess.run([MKFS, "-q", str(image)], check=True)
    with _mounted(folder, "-o", "loop", str(image)):
        yield folder


@contextmanager
def hanging(disk: Path) -> Iterator[None]:
    """Makes the disk hang while the body runs: writers wait in the kernel and ignore signals."""
    subprocess.run(["/usr/sbin/fsfreeze", "--freeze", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["/usr/sbin/fsfreeze", "--unfreeze", str(disk)], check=True)


def waits_for_a_disk(pid: int) -> bool:
    """Says whether a thread of the process waits in the kernel for a disk."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return any(") D " in (task / "stat").read_text() for task in tasks)


@contextmanager
def _mounted(folder: Path, *options: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small disk")
    folder.mkdir(parents=True)
    command = ["mount", *options, str(folder)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    if refused:
        pytest.skip(f"no small disk can be mounted here: {refused.strip()}")
    try:
        yield
    finally:
        # The children of a killed daemon end a moment later, and have files open until then.
        wait_until(lambda: not subprocess.run(["umount", str(folder)], check=False).returncode)


def free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def fill(folder: Path, leave: int = 0) -> Path:
    """Makes a file that takes all free space except `leave` bytes. Returns its path."""
    # After the end of a test the folder is on the disk of this machine, which must not be filled.
    assert free(folder) < 1024 * MIB, f"{folder} is no small disk"
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                os.posix_fallocate(file.fileno(), 0, free(folder) - leave)
            except OSError as error:
                # The daemon has written in between, and so less is free by now.
                if error.errno != errno.ENOSPC:
                    raise
                file.truncate(0)
            else:
                return filler
