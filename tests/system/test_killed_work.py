"""Kills the daemon while it discovers clusters or runs commands.

After any kill a discovery with a known login goes on. Commands do not run twice: their nodes end as
`interrupted`, and keep the output up to the kill.
"""

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from cucmctl import Client, DaemonUnavailable
from cucmd.job import work_request
from cucmd.job.work import make_start_request
from cucmd.job.work_request import How, Login, Timeouts
from cucmd.protocol.jobs import Job, Node, StartReply
from rig.forked import Installation
from rig.inspection import check_database, check_files, manifest
from rig.killed import KILLS, finish_most_jobs, kills, list_all, wait_closed
from rig.lab import Lab, running_lab

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(120 + 20 * KILLS),
    pytest.mark.usefixtures("forks"),
]
SETTLED = ("succeeded", "failed", "cancelled")
COMMANDS = ("show status", "utils service list", "show network cluster", "show version active")
QUICK = Timeouts(connect=2, login=5, answer=2, command=2, stall=2, grace=0.2)
# So many older jobs are examined after a start; all jobs are at the end.
OLDER = 30
# The key is (job, node, number of the command).
Output = tuple[str, str, int]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs four nodes; node 4 prints half of each answer."""
    with running_lab(4, "--fault", "4=silent-answer") as lab:
        yield lab


class Killed(Installation, ABC):
    """Keeps what the client knows of jobs and nodes. `most` is the most seconds until a kill."""

    most = 0.8

    def __init__(self, folder: Path, lab: Lab, dice: random.Random) -> None:
        super().__init__(folder, lab)
        self.dice = dice
        self.answered: dict[str, bool] = {}  # job -> whether its login is known after a restart
        self.settled: dict[tuple[str, str], Node] = {}

    def login(self) -> tuple[Login, bool]:
        if self.dice.random() < 0.7:
            return Login(credential="lab"), True
        return Login(self.lab.username, self.lab.password), False

    def look(self, job: Job) -> None:
        """Asserts that a node which had ended has not changed, and keeps its results."""
        for node in job.nodes:
            if node.status in SETTLED:
                before = self.settled.setdefault((job.job_id, node.node), node)
                assert (node.status, node.failure) == (before.status, before.failure)
                assert (node.completed_at, node.found) == (before.completed_at, before.found)

    def look_at(self, client: Client, job_ids: Iterable[str]) -> None:
        """Looks at the jobs after a start."""
        for job_id in job_ids:
            self.look(client.status(job_id))

    @abstractmethod
    def begin(self, client: Client) -> None:
        """Starts a job, and keeps its id once the daemon has answered."""

    def work(self, client: Client) -> None:
        """Starts jobs and looks at them until the daemon is gone."""
        own = len(self.answered)
        while True:
            if len(self.answered) - own < 3:
                self.begin(client)
            self.look(client.status(self.dice.choice(sorted(self.answered))))

    def kill_again_and_again(self) -> None:
        looked_at = 0
        for _ in range(KILLS):
            with self.daemon() as process, Client(self.socket) as client:
                answered = list(self.answered)
                older, newer = answered[:looked_at], answered[looked_at:]
                self.look_at(client, self.dice.sample(older, min(OLDER, len(older))) + newer)
                looked_at = len(answered)
                finish_most_jobs(client)
                killer = threading.Timer(self.dice.random() * self.most, process.kill)
                killer.start()
                with pytest.raises(DaemonUnavailable):
                    self.work(client)
                killer.join()
            check_database(self.state / "cucmd.db")


class Commands(Killed):
    """Keeps in `printed` the whole outputs that the client has read."""

    most = 2.0

    def __init__(self, folder: Path, lab: Lab, dice: random.Random) -> None:
        super().__init__(folder, lab, dice)
        self.printed: dict[Output, str] = {}
        self.interrupted = 0

    def begin(self, client: Client) -> None:
        login, known = self.login()
        nodes = tuple(self.dice.sample(self.lab.nodes, 2))
        request = make_start_request(
            nodes, login, work_request.Commands(COMMANDS), How(timeouts=QUICK)
        )
        job = client.call("Start", request, StartReply).job
        self.answered[job.job_id] = known

    def look(self, job: Job) -> None:
        super().look(job)
        with Client(self.socket) as client:
            self.read(client, job)

    def read(self, client: Client, job: Job) -> None:
        now: dict[Output, str] = {}
        for piece in client.output(job.job_id):
            key = job.job_id, piece.node, piece.number
            now[key] = now.get(key, "") + piece.text
        before = {key: text for key, text in self.printed.items() if key[0] == job.job_id}
        assert before.items() <= now.items(), "what was read once is there, to the letter"
        self.printed.update(now)

    def look_at(self, client: Client, job_ids: Iterable[str]) -> None:
        """Asserts after a start that no command goes on."""
        for job_id in job_ids:
            job = wait_closed(client, job_id)
            assert all(node.attempt <= 1 for node in job.nodes), "nothing is run twice"
            self.look(job)
            codes = {node.failure.code for node in job.nodes if node.failure}
            assert codes <= {"interrupted", "command_timeout"}
            self.interrupted += "interrupted" in codes
            check_outputs(Path(job.directory))

    def kill_once_it_has_printed(self) -> None:
        """Kills the daemon after a node has printed. At random moments none may have done so."""
        with self.daemon() as process, Client(self.socket) as client:
            self.begin(client)
            job_id = list(self.answered)[-1]
            for change in client.watch(job_id):
                self.look(change.job)
                if any(key[0] == job_id for key in self.printed):
                    break
            process.kill()


def check_outputs(folder: Path) -> None:
    """Asserts that the manifest describes each output on the disk."""
    check_files(folder)
    named = {folder / file["path"] for file in manifest(folder)}
    assert set(folder.glob("*/output/*")) <= named


def test_killed_commands_keep_output(tmp_path: Path, lab: Lab, dice: random.Random) -> None:
    killed = Commands(tmp_path, lab, dice)
    killed.kill_again_and_again()
    for _ in kills(lambda: killed.interrupted > 0, 1):
        killed.kill_once_it_has_printed()
        with killed.daemon(), Client(killed.socket) as client:
            killed.look_at(client, killed.answered)
    with killed.daemon(), Client(killed.socket) as client:
        listed = list_all(client)
        assert {job.status for job in listed} <= {"succeeded", "partial", "failed"}
    assert set(killed.answered) <= {job.job_id for job in listed}
