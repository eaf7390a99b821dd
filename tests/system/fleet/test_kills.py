"""Kills agents, daemons, the hub and the NATS server at random moments, while jobs are started.

Each of these four is killed `CUCMD_KILLS` times. One round of four kills takes about ten seconds.
"""

import random
import threading
import time
from contextlib import suppress

import pytest

from cucmctl.client.errors import ClientError
from rig.fleet import Fleet, run
from rig.jobs import statuses
from rig.killed import KILLS, MOST_UNFINISHED
from rig.lab import Lab
from rig.quiet import wait_until

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.usefixtures("same_jobs"),
    pytest.mark.timeout(300 + 60 * KILLS),
]

SITES = "berlin", "munich"
KINDS = ("nats",), ("hub",), SITES, tuple(f"{site}.cucmd" for site in SITES)
LONGEST_LIFE = 1.5  # seconds between two kills


def test_each_accepted_start_runs_once(fleet: Fleet, lab: Lab, dice: random.Random) -> None:
    enough = threading.Event()

    def keep_starting() -> None:
        while not enough.is_set():
            nodes = [f"{site}/{lab.nodes[0]}" for site in SITES]
            with suppress(ClientError), fleet.client() as client:  # the hub may not be there
                unfinished = [*client.list(status="queued"), *client.list(status="running")]
                if len(unfinished) < MOST_UNFINISHED:
                    run(client, *nodes)
            time.sleep(0.3)

    starter = threading.Thread(target=keep_starting)
    starter.start()
    try:
        for _ in range(KILLS):
            for kind in dice.sample(KINDS, len(KINDS)):
                time.sleep(dice.uniform(0, LONGEST_LIFE))
                name = dice.choice(kind)
                fleet.kill(name)
                fleet.start_again(name)
        wait_until(lambda: len(fleet.accepted) >= 3)
    finally:
        enough.set()
        starter.join()
    with fleet.client() as client:
        for job_id in fleet.accepted:
            client.wait(job_id, timeout=60)
            # After a restart the hub knows that a job has ended before it knows the nodes.
            wait_until(lambda job_id=job_id: "pending" not in statuses(client.status(job_id)), 60)
            for node in client.status(job_id).nodes:
                # What a killed daemon had begun may have run, so the daemon does not send it again.
                assert node.status == "succeeded" or node.failure.code == "interrupted"
