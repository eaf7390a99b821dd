"""Jobs that end at the same moment are labelled, looked at, pruned, and kept by a rule meanwhile.

`CUCMD_ROUNDS` sets how often. Nothing that is to be kept goes, and what was told is what there is.
"""

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from cucmctl import Client, DaemonUnavailable, JobBusy, JobNotFound
from cucmd.protocol.jobs import Job, JobSummary
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import Lab, running_lab
from rig.quiet import wait_until

ROUNDS = int(os.environ.get("CUCMD_ROUNDS", "10"))
pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + 20 * ROUNDS)]
JOBS = 5
KEPT = 3
ENDED = ("succeeded", "partial", "failed", "cancelled")
RULE = f"[retention]\njobs = {KEPT}\n"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(JOBS, "--stamps", "--files", "1", "--size", "2000") as lab:
        yield lab


class Watcher:
    """What a watcher of all jobs was told last of each, in a thread of its own."""

    def __init__(self, daemon: Daemon) -> None:
        self.told: dict[str, Job] = {}
        self.wrong: list[str] = []
        self._daemon = daemon
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._began.wait(30)

    def _run(self) -> None:
        with self._daemon.client() as client, suppress(DaemonUnavailable):
            for change in client.watch():
                self._began.set()
                if change.job is not None:
                    self._add(change.job)
                    if "over" in (change.job.labels or {}):
                        break

    def stop(self) -> None:
        """It reads until it is told of a job with that label."""
        with self._daemon.client() as client:
            client.label(client.list(limit=1)[0].job_id, {"over": "yes"})
        self._thread.join(30)

    def _add(self, job: Job) -> None:
        before = self.told.get(job.job_id)
        if before is not None and job.revision < before.revision:
            self.wrong.append(f"{job.job_id}: revision {job.revision} after {before.revision}")
        self.told[job.job_id] = job


class Round:
    """Five jobs that end at the same moment; one of them is to be kept, whatever the rule."""

    def __init__(self, daemon: Daemon, lab: Lab, dice: random.Random) -> None:
        self.daemon, self.lab, self.dice = daemon, lab, dice
        self.jobs: list[str] = []
        self.over = threading.Event()
        self.labelled: dict[str, dict[str, str]] = {}  # the job is there, by the daemon's answer

    def run(self) -> None:
        to_keep = self.dice.randrange(JOBS)
        with ThreadPoolExecutor(JOBS + 1) as threads:
            jobs = [threads.submit(self.one, at, keep=at == to_keep) for at in range(JOBS)]
            pruning = threads.submit(self.prune)
            for job in jobs:
                job.result()
            self.over.set()
            pruning.result()

    def one(self, at: int, *, keep: bool) -> None:
        """It is labelled as soon as its end is seen."""
        with self.daemon.client() as client:
            job_id = start(client, self.lab, [self.lab.nodes[at]]).job_id
            self.jobs.append(job_id)
            labels = {"case": f"{at}", **({"keep": "yes"} if keep else {})}
            with suppress(JobNotFound, JobBusy):  # it is deleted
                client.wait(job_id)
                client.label(job_id, labels)
                self.labelled[job_id] = labels

    def prune(self) -> None:
        """Applies the same rule, by a call, again and again while the jobs end."""
        with self.daemon.client() as client:
            while not self.over.is_set():
                with suppress(JobBusy):
                    client.prune(keep=KEPT)

    def check(self, watcher: Watcher) -> None:
        """Checks what is left. Some of the others may be, too: a label that comes while they are
        deleted is too late.
        """
        kept = {name for name, labels in self.labelled.items() if "keep" in labels}
        with self.daemon.client() as client:
            wait_until(lambda: self.settled(client.list(limit=100)))
            ends = sorted(self.jobs, key=lambda name: watcher.told[name].completed_at)
            for job_id in kept.union(ends[-KEPT:]):
                wait_until(lambda job_id=job_id: client.status(job_id).nodes[0].coverage)
                job = client.status(job_id)
                assert (job.labels or {}) == self.labelled.get(job_id, {})
                wait_until(lambda job=job: watcher.told[job.job_id].revision >= job.revision)
                assert watcher.told[job_id] == job
            for job_id in kept:
                wait_until(lambda job_id=job_id: deleted(client, job_id))

    def settled(self, listed: tuple[JobSummary, ...]) -> bool:
        """Says whether all have ended, and the rule has left as many as it says."""
        unkept = [one for one in listed if "keep" not in (one.labels or {})]
        return all(one.status in ENDED for one in listed) and len(unkept) <= KEPT


def deleted(client: Client, job_id: str) -> bool:
    """Deletes the job; not while it is read."""
    try:
        client.delete(job_id)
    except JobBusy:
        return False
    return True


def test_what_is_kept_stays_whatever_comes_at_the_same_moment(tmp_path: Path, lab: Lab) -> None:
    seed = int(os.environ.get("CUCMD_SEED", random.randrange(1_000_000)))
    print(f"CUCMD_SEED={seed}")
    dice = random.Random(seed)
    labelled = 0
    with running_daemon(tmp_path / "cucmd", CONFIG + RULE) as daemon:
        watcher = Watcher(daemon)
        for _ in range(ROUNDS):
            one = Round(daemon, lab, dice)
            one.run()
            one.check(watcher)
            labelled += len(one.labelled)
        watcher.stop()
        assert watcher.wrong == []
    assert labelled > ROUNDS, "every job was deleted before it could be labelled"
