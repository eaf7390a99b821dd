"""Kills the daemon or the client while jobs are pruned.

After any kill each job is whole or gone, and the next start finishes the deletion.
"""

import os
import random
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from cucmctl import Client, DaemonUnavailable
from rig.forked import Installation
from rig.inspection import check_database
from rig.jobs import start
from rig.killed import KILLS, kills, start_cucmctl, wait_closed
from rig.lab import Lab, running_lab
from rig.quiet import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(120 + 20 * KILLS),
    pytest.mark.usefixtures("forks"),
]
SURPLUS = 400  # additional files of each job
PRUNES = max(KILLS // 2, 2)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(1, "--files", "3", "--size", "20000") as lab:
        yield lab


def pruned(installation: Installation, lab: Lab, client: Client) -> list[str]:
    """Makes four jobs with additional files, so that their deletion takes a while."""
    jobs = [start(client, lab, lab.nodes[:1], credential="lab") for _ in range(4)]
    for job in jobs:
        wait_closed(client, job.job_id)
        folder = Path(job.directory) / "more"
        folder.mkdir()
        for number in range(SURPLUS):
            (folder / str(number)).touch()
    return [job.job_id for job in jobs]


def begun_deletions(installation: Installation) -> int:
    with closing(sqlite3.connect(installation.state / "cucmd.db")) as raw:
        select = "SELECT count(*) FROM job WHERE deletion IN ('job', 'files')"
        return raw.execute(select).fetchone()[0]


def check_whole_or_gone(installation: Installation, client: Client) -> set[str]:
    """Finishes a deletion that had begun; returns the other jobs, each of which is whole."""
    wait_until(lambda: begun_deletions(installation) == 0)
    left = {job.job_id for job in client.list(limit=1000)}
    assert left == {path.name for path in (installation.state / "jobs").iterdir()}
    for job_id in left:
        job = client.status(job_id)
        assert (job.status, job.closed, job.files_deleted) == ("succeeded", True, None)
        assert len(os.listdir(Path(job.directory) / "more")) == SURPLUS
        assert [one for reply in client.verify(job_id) for one in reply.wrong] == []
        with client.export(job_id) as export:
            assert export.reply.files == 3
    return left


def test_next_start_finishes_killed_prune(tmp_path: Path, lab: Lab, dice: random.Random) -> None:
    """At least one kill comes while a job is deleted, and not between two jobs."""
    installation, begun = Installation(tmp_path, lab), list[int]()
    for _ in kills(lambda: any(begun), PRUNES):
        with installation.daemon() as daemon, Client(installation.socket) as client:
            jobs = pruned(installation, lab, client)
            # The test counts names to find the moment, since a prune takes milliseconds.
            last = dice.randrange(len(jobs) * SURPLUS)

            def kill(daemon: BaseProcess = daemon, last: int = last) -> None:
                until_left(daemon.is_alive, installation.state, last)
                daemon.kill()

            killer = threading.Thread(target=kill)
            killer.start()
            answered = 0
            with suppress(DaemonUnavailable):
                answered = len(client.prune(keep=0).jobs)
            killer.join()
        check_database(installation.state / "cucmd.db")
        begun.append(begun_deletions(installation))
        with installation.daemon(), Client(installation.socket) as client:
            left = check_whole_or_gone(installation, client)
            assert left <= set(jobs)
            assert not (answered and left)
            # Not a job that the export still holds.
            wait_until(lambda left=left: len(client.prune(keep=0, dry_run=True).jobs) == len(left))
            client.prune(keep=0)
            assert check_whole_or_gone(installation, client) == set()


def test_prune_of_killed_client_is_finished(tmp_path: Path, lab: Lab, dice: random.Random) -> None:
    installation, codes = Installation(tmp_path, lab), list[int]()
    with installation.daemon(), Client(installation.socket) as client:
        for _ in kills(lambda: -signal.SIGKILL in codes, PRUNES):
            jobs = pruned(installation, lab, client)
            pruning = start_cucmctl(installation, "prune", "--keep", "0", "--yes")
            last = dice.randrange(len(jobs) * SURPLUS)
            until_left(lambda pruning=pruning: pruning.poll() is None, installation.state, last)
            pruning.kill()
            codes.append(pruning.wait(60))
            wait_until(lambda: client.list() == ())
            assert check_whole_or_gone(installation, client) == set()


def until_left(lives: Callable[[], bool], state: Path, least: int) -> None:
    """Waits until at most so many of the additional files are left, or the deleting process has
    ended.
    """
    while lives() and sum(map(names_in, (state / "jobs").glob("*/more"))) > least:
        pass


def names_in(folder: Path) -> int:
    with suppress(FileNotFoundError):
        return len(os.listdir(folder))
    return 0
