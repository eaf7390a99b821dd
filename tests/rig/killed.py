"""Kills daemons and clients at random moments.

Each test kills at least `CUCMD_KILLS` times: 3 times unless the environment says otherwise, 20
times with `pytest --long`. `CUCMD_SEED` decides the moments; a failure prints the seed.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

from cucmctl import Client
from cucmd.job.status import JobStatus
from cucmd.job.work_request import Login
from cucmd.protocol.jobs import Job, JobSummary
from rig.forked import Installation
from rig.lab import Lab
from rig.quiet import wait_until

KILLS = int(os.environ.get("CUCMD_KILLS", "3"))
# A test lets jobs end when more than these are unfinished. A daemon that lives for half a second
# finishes few, and a user may have at most a hundred that wait (`limits.queued_per_uid`).
MOST_UNFINISHED = 30
# The failures of a node whose receiver was killed, stopped or not yet started.
AFTER_A_KILL = {
    *("receiver_lost", "receiver_unreachable", "receiver_rejected", "transfer_incomplete"),
    "stalled",
}
_SEED = int(os.environ.get("CUCMD_SEED", random.randrange(1_000_000)))


def make_dice() -> random.Random:
    """Returns dice with the same seed for each test, so that a test can be repeated alone.

    pytest shows the seed if the test fails.
    """
    print(f"CUCMD_SEED={_SEED}")
    return random.Random(_SEED)


def kills(enough: Callable[[], bool], least: int = KILLS) -> Iterator[int]:
    """Yields the number of each kill: `least` times, and then until there is enough.

    Since the moments are random, the first kills may all come before or after what a test is about.
    The timeout of the test ends the kills if there is never enough.
    """
    number = 0
    while number < least or not enough():
        yield number
        number += 1


def retry_until_succeeded(client: Client, lab: Lab, job_id: str) -> Job:
    """Retries a job until all nodes have succeeded; returns the closed job.

    Asserts that nodes fail only as a killed receiver makes them fail.
    """
    for _ in range(5):
        job = wait_closed(client, job_id)
        failed = [node.failure for node in job.nodes if node.failure is not None]
        if not failed:
            assert {node.status for node in job.nodes} == {"succeeded"}
            return job
        assert {one.code for one in failed} <= AFTER_A_KILL, failed
        assert all(one.retryable for one in failed)
        client.retry(job_id, login=Login(lab.username, lab.password))
    raise AssertionError(failed)


def wait_closed(client: Client, job_id: str) -> Job:
    client.wait(job_id, timeout=60)
    wait_until(lambda: client.status(job_id).closed)
    return client.status(job_id)


def finish_most_jobs(client: Client) -> None:
    """Waits for unfinished jobs, unless only a few are left."""
    statuses: tuple[JobStatus, ...] = ("queued", "running")
    left = [job for status in statuses for job in client.list(status=status, limit=1000)]
    if len(left) > MOST_UNFINISHED:
        for job in left:
            client.wait(job.job_id, timeout=120)


def list_all(client: Client) -> list[JobSummary]:
    """Lists all jobs. The daemon lists at most a thousand at once."""
    listed = list(client.list(limit=1000))
    while more := client.list(limit=1000, before=listed[-1].job_id if listed else None):
        listed += more
    return listed


def start_cucmctl(installation: Installation, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cucmctl", "--socket", str(installation.socket), *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_after(process: subprocess.Popen[bytes], seconds: float, number: signal.Signals) -> int:
    """Signals the process after some seconds, unless it has ended. Returns its exit code."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(number)
    return process.wait(60)
