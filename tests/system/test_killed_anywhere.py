"""Kills the daemon at any moment and starts it again: it loses and changes no answered call.

The daemon is a fork of a server that has imported it, so that hundreds of starts are cheap. It is
killed ten times as often as the daemons of other tests.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from cucmctl import Client, DaemonUnavailable
from cucmctl.client.errors import LimitReached, StorageFailed
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login, Timeouts
from cucmd.protocol.jobs import Job, Node, StartReply
from rig import killed
from rig.forked import Installation
from rig.inspection import check_database, check_files, manifest
from rig.jobs import SDL
from rig.killed import finish_most_jobs, kills, list_all
from rig.lab import Lab, running_lab
from rig.small_disk import fill, small_disk

KILLS = 10 * killed.KILLS
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(120 + 10 * KILLS),
    pytest.mark.usefixtures("forks"),
]
ENDED = ("succeeded", "partial", "failed", "cancelled")
SIZE = 20_000  # bytes of each file of the lab
SETTLED = ("succeeded", "failed", "cancelled")


class Answered(Installation):
    """Keeps the replies that a client has got."""

    def __init__(self, folder: Path, lab: Lab, dice: random.Random) -> None:
        super().__init__(folder, lab)
        self.dice = dice
        self.answered: set[str] = set()
        self.settled: dict[tuple[str, str], Node] = {}

    def work(self, client: Client, tolerated: tuple[type[Exception], ...] = ()) -> None:
        """Starts and cancels jobs, and keeps the replies, until the daemon is gone."""
        own: list[str] = []
        while True:
            with suppress(*tolerated):
                if len(own) < 3:
                    own.append(self.start(client))
                elif self.dice.random() < 0.15:
                    client.cancel(self.dice.choice(own))
            if own:
                self.look(client.status(self.dice.choice(own)))

    def start(self, client: Client) -> str:
        named = self.dice.random() < 0.5
        login = Login(
            username=None if named else self.lab.username,
            password=None if named else self.lab.password,
            credential="lab" if named else None,
        )
        nodes = self.dice.sample(self.lab.nodes, 2)
        collection = Collection(paths=(SDL,), last="2h")
        timeouts = Timeouts(connect=1, command=1, stall=1, grace=0.2)
        request = StartRequest(tuple(nodes), login, collection, timeouts=timeouts)
        # not `Client.start`, which would wait for the next daemon
        job = client.call("Start", request, StartReply).job
        self.answered.add(job.job_id)
        return job.job_id

    def look(self, job: Job) -> None:
        """Asserts that a node which had ended has not changed at all."""
        for node in job.nodes:
            if node.status in SETTLED:
                before = self.settled.setdefault((job.job_id, node.node), node)
                assert (node.status, node.failure) == (before.status, before.failure)
                assert node.completed_at == before.completed_at

    def examine(self, client: Client) -> None:
        """Asserts after a start that every job of a reply is there, with its files."""
        finish_most_jobs(client)
        for job_id in sorted(self.answered):
            job = client.status(job_id)
            self.look(job)
            if job.status in ENDED:
                check_files(Path(job.directory))
                for file in manifest(Path(job.directory)):
                    assert file["size"] == SIZE or not file["complete"], "it was cut off"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    faults = ("3=trickle@30000", "4=hang:command", "5=drop:transfer")
    options = [word for fault in faults for word in ("--fault", fault)]
    sizes = ("--files", "3", "--size", str(SIZE))
    with running_lab(5, *sizes, *options) as lab:
        yield lab


@pytest.fixture
def installation(tmp_path: Path, lab: Lab, dice: random.Random) -> Answered:
    return Answered(tmp_path, lab, dice)


def test_kill_loses_nothing(installation: Answered, dice: random.Random) -> None:
    """On average the daemon answers more than one call before each kill."""
    for kill in kills(lambda: len(installation.answered) > KILLS, KILLS):
        with installation.daemon() as process, Client(installation.socket) as client:
            if kill % 10 == 0:
                installation.examine(client)
            else:
                for job_id in dice.sample(
                    sorted(installation.answered), min(5, len(installation.answered))
                ):
                    installation.look(client.status(job_id))
            killer = threading.Timer(dice.random() * 0.6, process.kill)
            killer.start()
            with pytest.raises(DaemonUnavailable):
                installation.work(client)
            killer.join()
        check_database(installation.state / "cucmd.db")
    with installation.daemon(), Client(installation.socket) as client:
        for job_id in sorted(installation.answered):
            client.wait(job_id, timeout=120)
        installation.examine(client)
        ended = {job.job_id: job.status for job in list_all(client)}
        # A start without a reply may have made a job or not.
        assert installation.answered <= set(ended)


def fill_up(folder: Path, leave: int) -> None:
    with suppress(OSError):  # the daemon has written meanwhile
        fill(folder, leave=leave)


def test_kill_on_full_disk_loses_nothing(tmp_path: Path, lab: Lab, dice: random.Random) -> None:
    """The disk fills at a random moment, and is free again before the next start."""
    with small_disk(tmp_path / "disk", 64) as folder:
        installation = Answered(folder, lab, dice)
        for _ in range(max(KILLS // 10, 2)):
            with installation.daemon() as process, Client(installation.socket) as client:
                installation.examine(client)
                fill_it = partial(fill_up, folder, dice.randrange(9000))
                fills = threading.Timer(dice.random() * 0.4, fill_it)
                killer = threading.Timer(0.3 + dice.random() * 0.5, process.kill)
                fills.start()
                killer.start()
                with pytest.raises(DaemonUnavailable):
                    installation.work(client, (StorageFailed, LimitReached))
                fills.join()
                killer.join()
            (folder / "filler").unlink()
            check_database(installation.state / "cucmd.db")
        with installation.daemon(), Client(installation.socket) as client:
            for job_id in sorted(installation.answered):
                client.wait(job_id, timeout=120)
            installation.examine(client)
