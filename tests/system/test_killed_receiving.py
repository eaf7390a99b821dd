"""Kills processes that receive, and the process that they are forked from, at random moments.

The daemon goes on, whole files stay whole, a retry collects the others, and nothing is left.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from rig.daemon import Daemon
from rig.inspection import check_files
from rig.jobs import start, until
from rig.killed import KILLS, make_dice, retry_until_succeeded
from rig.lab import Lab
from rig.quiet import assert_nothing_open, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + 20 * KILLS)]
NODES = 3


def receiving(daemon: Daemon) -> list[int]:
    """Returns the fork server, and the processes of connections."""
    return daemon.tree()[1:]


def test_killed_receivers_lose_nothing(daemon: Daemon, make_lab: Callable[..., Lab]) -> None:
    dice = make_dice()
    lab = make_lab(NODES, "--files", "6", "--size", "4000000")
    with daemon.client() as client:
        job = retry_until_succeeded(client, lab, start(client, lab).job_id)

        def is_one() -> bool:
            return len(receiving(daemon)) == 1

        wait_until(is_one)
        before = daemon.descriptors()
        for _ in range(KILLS):
            job = start(client, lab, stall=5)
            # Or it has failed, since no process received after the previous kill.
            until(
                client,
                job.job_id,
                lambda job: job.status == "failed" or any(one.bytes_received for one in job.nodes),
            )
            time.sleep(dice.random() ** 2)
            with suppress(ProcessLookupError, IndexError):  # it has ended, or starts again
                kind = signal.SIGKILL if dice.random() < 0.7 else signal.SIGSTOP
                os.kill(dice.choice(receiving(daemon)), kind)
            retry_until_succeeded(client, lab, job.job_id)
            check_files(daemon.state / "jobs" / job.job_id)
            client.delete(job.job_id)  # a thousand jobs would be 48 GB
        wait_until(is_one, 60)
        assert_nothing_open(daemon, before)
    assert "a defect" not in daemon.log.read_text()


def test_killed_receiver_fails_its_node(daemon: Daemon, make_lab: Callable[..., Lab]) -> None:
    slow = [word for node in (1, 2) for word in ("--fault", f"{node}=trickle@2000000*1")]
    lab = make_lab(2, "--files", "3", "--size", "4000000", *slow)
    with daemon.client() as client:
        job_id = start(client, lab).job_id
        until(client, job_id, lambda job: all(one.bytes_received for one in job.nodes))
        os.kill(receiving(daemon)[-1], signal.SIGKILL)
        job = client.wait(job_id, timeout=60)
        codes = sorted(one.failure.code if one.failure else "" for one in job.nodes)
        assert codes == ["", "receiver_lost"]
        retry_until_succeeded(client, lab, job_id)
        check_files(daemon.state / "jobs" / job_id)
