"""Kills processes that read files of nodes, and the process that they are forked from.

The daemon goes on, every job succeeds, and the results are those without a kill.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from cucmctl import Client
from cucmd.job.work_request import Login, Packets
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon
from rig.jobs import start
from rig.killed import KILLS, make_dice, retry_until_succeeded, wait_closed
from rig.lab import Lab
from rig.quiet import assert_nothing_open, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + 15 * KILLS)]
NODES = 2


def capture(client: Client, lab: Lab) -> Job:
    login = Login(lab.username, lab.password)
    return client.capture(lab.nodes, Packets(duration=1), login=login)


def is_read(client: Client, job_id: str) -> bool:
    return all(node.coverage for node in client.status(job_id).nodes)


def is_counted(client: Client, job_id: str) -> bool:
    return all(node.capture.packets for node in client.status(job_id).nodes)


# what is read -> what starts a job, what holds at its end, and the seconds within which the reading
# begins
WHAT: dict[str, tuple[Callable[[Client, Lab], Job], Callable[[Client, str], bool], float]] = {
    "traces": (start, is_read, 1.5),
    "archives": (lambda client, lab: start(client, lab, compress=True), is_read, 1.5),
    "captures": (capture, is_counted, 3.0),
}


@pytest.mark.parametrize("what", WHAT)
def test_killed_readers_lose_nothing(
    daemon: Daemon, make_lab: Callable[..., Lab], what: str
) -> None:
    begin, is_known, within = WHAT[what]
    dice = make_dice()
    lab = make_lab(NODES, "--files", "20", "--size", "50000")
    with daemon.client() as client:
        first = wait_closed(client, begin(client, lab).job_id)
        wait_until(lambda: is_known(client, first.job_id), 60)
        before = daemon.descriptors()
        for _ in range(KILLS):
            job_id = begin(client, lab).job_id
            time.sleep(dice.random() * within)
            victims = daemon.tree()[1:]
            with suppress(ProcessLookupError, IndexError):  # it has ended, or starts again
                os.kill(dice.choice(victims), signal.SIGKILL)
            retry_until_succeeded(client, lab, job_id)
            wait_until(lambda: is_known(client, job_id), 90)  # noqa: B023  in this turn
        wait_until(lambda: len(daemon.tree()) == 2)
        assert_nothing_open(daemon, before)
    assert "a defect" not in daemon.log.read_text()
