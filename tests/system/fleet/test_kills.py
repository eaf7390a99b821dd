"""Kills agents, daemons, the hub and the NATS server at random moments, while jobs are started."""

import random
import threading
import time

import pytest

from cucmctl.client.errors import ClientError
from rig.fleet import Fleet, ended, run
from rig.jobs import statuses
from rig.killed import kills
from rig.lab import Lab
from rig.quiet import wait_until

pytestmark = pytest.mark.exhaustive

LONGEST_LIFE = 1.5  # seconds between two kills


def test_each_accepted_start_runs_once(fleet: Fleet, lab: Lab, dice: random.Random) -> None:
    sites = ("berlin", "munich")
    accepted: list[str] = []
    enough = threading.Event()

    def keep_starting() -> None:
        while not enough.is_set():
            nodes = [f"{site}/{lab.nodes[0]}" for site in sites]
            try:
                with fleet.client() as client:
                    accepted.append(run(client, *nodes).job_id)
            except ClientError:
                pass  # the hub is not there
            time.sleep(0.3)  # the nodes have to keep up

    starter = threading.Thread(target=keep_starting)
    starter.start()
    try:
        for _ in kills(lambda: len(accepted) >= 3):
            time.sleep(dice.uniform(0, LONGEST_LIFE))
            name = dice.choice(("nats", "hub", *sites, *(f"{site}.cucmd" for site in sites)))
            fleet.kill(name)
            fleet.start_again(name)
    finally:
        enough.set()
        starter.join()
    with fleet.client() as client:
        # A start without an answer may have been accepted, too.
        shown = {job.job_id for job in client.list(limit=1000)}
        assert shown >= set(accepted)
        for job_id in shown:
            ended(client, client.status(job_id))
            # After a restart the hub knows that a job has ended before it knows the nodes.
            wait_until(lambda job_id=job_id: "pending" not in statuses(client.status(job_id)), 60)
            for node in client.status(job_id).nodes:
                # What a killed daemon had begun may have run, so the daemon does not send it again.
                assert node.status == "succeeded" or node.failure.code == "interrupted"
    for site in sites:
        with fleet.daemons[site].client() as daemon:
            labels = [(job.labels or {}).get("hub") for job in daemon.list(limit=1000)]
        assert sorted(labels) == sorted(shown)
