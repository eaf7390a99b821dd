"""Runs a daemon with one job that can be exported."""

import hashlib
import os
import random
from collections.abc import Iterator, Mapping
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
    folder: Path  # the folder of the job

    def in_use(self) -> bool:
        """Says whether an export or another reader uses the job, so that no prune deletes it."""
        with self.daemon.client() as client:
            return client.prune(keep=0, dry_run=True).jobs == ()

    def exporting(self) -> list[int]:
        """Returns the processes that read jobs, which the first worker process has forked."""
        return [process for first in child_pids(self.daemon.pid) for process in child_pids(first)]


def child_pids(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def make_job(
    state: Path, sizes: Mapping[str, int | bytes], job_id: str = JOB_ID, *, sparse: bool = False
) -> Path:
    """Makes a closed job with files of these sizes or contents, and returns its folder.

    sparse: the files are zeros and take no space on the disk, so that large ones cost no time.
    """
    dice, files = random.Random(17), []
    folder = state / "jobs" / job_id
    for name, given in sizes.items():
        path = f"a/files/{name}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        size = given if isinstance(given, int) else len(given)
        data = bytes(size) if sparse else dice.randbytes(size)
        data = data if isinstance(given, int) else given
        (folder / path).write_bytes(b"" if sparse else data)
        os.truncate(folder / path, size)
        digest = hashlib.sha256(data).hexdigest()
        modified = None if size == 1 else 1_790_000_000 + size
        files.append(ReceivedFile("a", path, size, digest, True, True, 1, modified))
    (folder / "a/transcript.log").write_text("admin:\n")
    record(state, files, job_id)
    return folder


@contextmanager
def running_case(folder: Path, sizes: Mapping[str, int | bytes]) -> Iterator[Case]:
    environ = {"CUCMD_TEST_UNREAD": str(UNREAD)}
    job = make_job(folder / "cucmd/state", sizes)
    with running_daemon(folder / "cucmd", CONFIG, environ, module="rig.odd_daemon") as daemon:
        yield Case(daemon, job)
