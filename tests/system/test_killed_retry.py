"""Kills the daemon or the client during a retry.

After any kill a retry with a reply has happened. One without a reply has happened as a whole or not
at all.
"""

import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client, DaemonUnavailable
from cucmd.job.work_request import Login
from cucmd.protocol.jobs import Job, Node, RetryRequest, StartReply
from rig.forked import Installation
from rig.inspection import check_database, check_files
from rig.jobs import in_phase, start, until
from rig.killed import KILLS, kill_after, kills, start_cucmctl, wait_closed
from rig.lab import Lab, running_lab
from rig.quiet import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(120 + 20 * KILLS),
    pytest.mark.usefixtures("forks"),
]


@pytest.fixture(scope="module")
def small() -> Iterator[Lab]:
    """Runs three nodes; node 2 fails at once, node 3 with its timeout."""
    faults = ("--fault", "2=silent-return:command", "--fault", "3=hang:command")
    with running_lab(3, "--files", "3", "--size", "20000", *faults) as lab:
        yield lab


class Tried:
    """Holds closed jobs with failed nodes, and counts the retries of each."""

    def __init__(self, folder: Path, lab: Lab, dice: random.Random) -> None:
        self.installation = Installation(folder, lab)
        self.dice = dice
        self.typed = Login(lab.username, lab.password)
        self.asked: tuple[str, RetryRequest] | None = None  # the call without a reply
        self.begun = False  # whether that call has made a retry
        with self.installation.daemon(), Client(self.installation.socket) as client:
            first, second, third = lab.nodes
            jobs = [
                start(client, lab, [first, second], credential="lab"),
                start(client, lab, [first, second]),
                start(client, lab, [first, third], credential="lab", connect=1, command=1),
            ]
            until(client, jobs[2].job_id, in_phase("command"))
            client.cancel(jobs[2].job_id, [third])
            self.jobs = {job.job_id: wait_closed(client, job.job_id) for job in jobs}

    def work(self, client: Client) -> None:
        """Tries jobs again, and cancels some of them, until the daemon is gone."""
        while True:
            job_id = self.dice.choice(sorted(self.jobs))
            if self.dice.random() < 0.1:
                client.cancel(job_id)
            job = client.status(job_id)
            if job.closed:
                self.jobs[job_id] = job
                login = None if job.resumable else self.typed
                key = f"{self.dice.random()}"
                self.asked = job_id, RetryRequest(job_id, login=login, start_key=key)
                self.jobs[job_id] = self.ask(client)
                self.asked = None

    def ask(self, client: Client) -> Job:
        # not `Client.retry`, which would wait for the next daemon
        job = client.call("Retry", self.asked[1], StartReply).job
        assert job.status in ("queued", "running")
        assert (job.cancelled, job.closed) == (False, False)
        return job

    def examine(self, client: Client) -> None:
        """Asserts after a start that each retry with a reply has happened, and each other one as a
        whole or not at all.
        """
        for job_id, before in self.jobs.items():
            job = client.status(job_id)
            asked = self.asked is not None and self.asked[0] == job_id
            assert job.retries - before.retries in ((0, 1) if asked else (0,))
            assert told(job.nodes[0]) == told(before.nodes[0]), "it has succeeded"
            begun = job.retries > before.retries
            if asked:
                self.begun = begun
            if begun:
                assert not job.cancelled
                assert job.nodes[1].completed_at != before.nodes[1].completed_at
            elif before.closed:
                assert job.closed
                assert (job.status, job.cancelled) == (before.status, before.cancelled)
                assert told(job.nodes[1]) == told(before.nodes[1])
            self.jobs[job_id] = job
        if self.asked is not None:
            self.ask_again(client, self.asked[0])
        self.asked = None

    def ask_again(self, client: Client, job_id: str) -> None:
        """Repeats the call that was cut off, with its key: altogether it has made one retry."""
        before = wait_closed(client, job_id)
        job = client.call("Retry", self.asked[1], StartReply).job
        assert job.retries == before.retries + (not self.begun)
        self.jobs[job_id] = job


def told(node: Node) -> tuple[object, ...]:
    return node.status, node.attempt, node.failure, node.completed_at, node.files_received


def test_killed_daemon_retries_once(tmp_path: Path, small: Lab, dice: random.Random) -> None:
    tried = Tried(tmp_path, small, dice)
    for _ in kills(lambda: sum(job.retries for job in tried.jobs.values()) > 0):
        with (
            tried.installation.daemon() as daemon,
            Client(tried.installation.socket) as client,
        ):
            tried.examine(client)
            killer = threading.Timer(dice.random() * 0.6, daemon.kill)
            killer.start()
            with pytest.raises(DaemonUnavailable):
                tried.work(client)
            killer.join()
        check_database(tried.installation.state / "cucmd.db")
    with tried.installation.daemon(), Client(tried.installation.socket) as client:
        tried.examine(client)
        for job_id in tried.jobs:
            job = wait_closed(client, job_id)
            check_files(Path(job.directory))
            assert len({file.path for file in client.files(job_id) if file.exported}) == 3


def test_killed_client_retries_once(tmp_path: Path, small: Lab, dice: random.Random) -> None:
    tried = Tried(tmp_path, small, dice)
    job_id = next(iter(tried.jobs))
    with tried.installation.daemon(), Client(tried.installation.socket) as client:
        for _ in range(KILLS):
            before = wait_closed(client, job_id)
            retrying = start_cucmctl(tried.installation, "retry", job_id, "--wait")
            kill_after(retrying, dice.random() * 0.5, signal.SIGKILL)
            # The daemon replies to its call before it closes the connection.
            wait_until(lambda: tried.installation.clients() == 1)
            job = wait_closed(client, job_id)
            begun = job.retries - before.retries
            assert begun in (0, 1)
            assert job.nodes[1].attempt == before.nodes[1].attempt + begun
            assert (job.status, told(job.nodes[0])) == (before.status, told(before.nodes[0]))
        assert client.retry(job_id).retries == job.retries + 1
