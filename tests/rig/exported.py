"""A daemon with a job that can be exported: files of odd names and sizes, and who holds them."""

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cucmd.received_file import ReceivedFile
from rig.collected import JOB_ID, record
from rig.daemon import CONFIG, Daemon, running_daemon

UNREAD = 2.0  # seconds; 60 in a daemon
LARGE = 3_000_000
SMALL = {f"small/{number:04}": number % 7 for number in range(1200)}


class Case(NamedTuple):
    daemon: Daemon
    folder: Path  # of the job

    def in_use(self) -> bool:
        """Says whether somebody holds the job: a prune leaves it alone."""
        with self.daemon.client() as client:
            return client.prune(keep=0, dry_run=True).jobs == ()

    def exporting(self) -> list[int]:
        """Returns the processes that read jobs: those that the first process has forked."""
        return [process for first in children(self.daemon.pid) for process in children(first)]


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def make_job(state: Path, sizes: dict[str, int], job_id: str = JOB_ID) -> Path:
    dice, files = random.Random(17), []
    folder = state / "jobs" / job_id
    for name, size in sizes.items():
        path = f"a/files/{name}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        data = dice.randbytes(size)
        (folder / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        modified = None if size == 1 else 1_790_000_000 + size
        files.append(ReceivedFile("a", path, size, digest, True, True, 1, modified))
    (folder / "a/transcript.log").write_text("admin:\n")
    record(state, files, job_id)
    return folder


def make_sparse_job(state: Path, sizes: dict[str, int], job_id: str = JOB_ID) -> Path:
    """Makes a job of files that are zeros and take no place on the disk: at once, however large."""
    files = []
    folder = state / "jobs" / job_id
    (folder / "a/files").mkdir(parents=True)
    for name, size in sizes.items():
        path = f"a/files/{name}"
        (folder / path).touch()
        os.truncate(folder / path, size)
        digest = hashlib.sha256(bytes(size)).hexdigest()
        files.append(ReceivedFile("a", path, size, digest, True, True, 1, 1_790_000_000))
    (folder / "a/transcript.log").write_text("admin:\n")
    record(state, files, job_id)
    return folder


@contextmanager
def running(folder: Path, sizes: dict[str, int]) -> Iterator[Case]:
    environ = {"CUCMD_TEST_UNREAD": str(UNREAD)}
    job = make_job(folder / "cucmd/state", sizes)
    with running_daemon(folder / "cucmd", CONFIG, environ, module="rig.odd_daemon") as daemon:
        yield Case(daemon, job)
