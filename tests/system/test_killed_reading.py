"""Processes that read traces, and the one that they are forked from, killed at random moments.

The daemon goes on, of each node it is said in the end what its traces cover, and nothing is left.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from cucmctl import Client
from rig.daemon import Daemon
from rig.jobs import start, statuses
from rig.killed import KILLS, closed, seeded
from rig.lab import Lab
from rig.quiet import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + 10 * KILLS)]
NODES = 4


def is_read(client: Client, job_id: str) -> bool:
    return all(node.coverage for node in client.status(job_id).nodes)


def test_what_reads_is_killed(daemon: Daemon, make_lab: Callable[..., Lab]) -> None:
    dice = seeded()
    lab = make_lab(NODES, "--files", "20", "--size", "50000")
    with daemon.client() as client:
        first = closed(client, start(client, lab).job_id)
        wait_until(lambda: is_read(client, first.job_id), 60)
        before = daemon.descriptors()
        for _ in range(KILLS):
            job_id = start(client, lab).job_id
            assert statuses(closed(client, job_id)) == ["succeeded"] * NODES
            time.sleep(dice.random() ** 2 / 2)
            victims = daemon.tree()[1:]
            with suppress(ProcessLookupError, IndexError):  # it has ended, or starts again
                os.kill(dice.choice(victims), dice.choice((signal.SIGKILL, signal.SIGSTOP)))
            wait_until(lambda: is_read(client, job_id), 90)  # noqa: B023  in this turn
        wait_until(lambda: len(daemon.tree()) == 2)
        assert len(daemon.descriptors()) <= len(before)
    assert "a defect" not in daemon.log.read_text()
