"""Tests a daemon while the disk below `jobs/` hangs: it answers, and ends work on nodes.

It writes everything once the disk answers again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.work_request import How, Login, Tail
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon, running_daemon
from rig.inspection import check_files
from rig.jobs import in_phase, start, statuses, until
from rig.lab import Lab, running_lab
from rig.quiet import wait_until
from rig.small_disk import disk_that_can_hang, hanging, waits_for_a_disk

pytestmark = pytest.mark.long

PATH = "syslog/messages"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with disk_that_can_hang(tmp_path / "cucmd" / "state" / "jobs", 64) as disk:
        yield disk


@pytest.fixture
def daemon(disk: Path, tmp_path: Path) -> Iterator[Daemon]:
    """Runs a daemon whose jobs are on the disk that hangs, but not its database."""
    with running_daemon(tmp_path / "cucmd") as daemon:
        yield daemon


def transcripts(job: Job) -> list[str]:
    return [path.read_text() for path in Path(job.directory).glob("*/transcript.log")]


def answers(client: Client, job: Job) -> Job:
    """Asserts that the daemon answers calls that do not need the disk; returns the job."""
    assert job.job_id in [one.job_id for one in client.list()]
    client.clusters()
    return client.status(job.job_id)


def test_cancel_keeps_every_transcript_line(daemon: Daemon, disk: Path) -> None:
    with running_lab(3, "--fault", "silent:command*1") as lab, daemon.client() as client:
        job = start(client, lab, grace=2)
        until(client, job.job_id, in_phase("command"))
        with hanging(disk):
            assert client.cancel(job.job_id).cancelled
            wait_until(lambda: lab.report()["connections_now"] == 0)
            wait_until(lambda: waits_for_a_disk(daemon.pid))
            assert statuses(answers(client, job)) == ["cancelled"] * 3
            # A new job waits for the disk, and can be cancelled meanwhile.
            second = start(client, lab)
            until(client, second.job_id, lambda job: job.status == "running")
            assert client.cancel(second.job_id).cancelled
            assert statuses(answers(client, second)) == ["cancelled"] * 3
            assert not answers(client, job).closed, "its transcripts are not whole"
        for one in (job, second):
            wait_until(lambda one=one: client.status(one.job_id).closed)
        said = transcripts(job)
        assert [text.count("> ^C\n") for text in said] == [1] * 3
        assert all("> quit\n" in text.partition("> ^C\n")[2] for text in said)
        third = client.wait(start(client, lab).job_id)
        assert statuses(third) == ["succeeded"] * 3
        assert lab.report()["dropped"] == 0


def test_waiting_nodes_take_no_thread(daemon: Daemon, disk: Path) -> None:
    with running_lab(50) as lab, daemon.client() as client:
        done = client.wait(start(client, lab, lab.nodes[:1]).job_id)
        wait_until(lambda: client.status(done.job_id).closed)
        with hanging(disk):
            job = start(client, lab, concurrency=50, try_all=True)
            until(client, job.job_id, lambda job: job.status == "running")
            wait_until(lambda: waits_for_a_disk(daemon.pid))
            said = daemon.ctl("transcript", done.job_id, lab.nodes[0], timeout=60)
            assert "> quit\n" in said.stdout
            assert client.cancel(job.job_id).cancelled
        wait_until(lambda: client.status(job.job_id).closed)


def begin_to_follow(client: Client, lab: Lab) -> Job:
    login = Login(lab.username, lab.password)
    tail, how = Tail(PATH, duration=600.0), How(try_all=True)
    job = client.follow(lab.nodes, tail, login=login, how=how)
    until(client, job.job_id, lambda job: all(node.bytes_received for node in job.nodes))
    return client.status(job.job_id)


@pytest.mark.parametrize("ending", ["stop", "cancel"])
def test_follow_ends_while_disk_hangs(daemon: Daemon, disk: Path, ending: str) -> None:
    with running_lab(2) as lab, daemon.client() as client:
        job = begin_to_follow(client, lab)
        with hanging(disk):
            wait_until(lambda: waits_for_a_disk(daemon.pid))
            assert statuses(answers(client, job)) == ["running"] * 2
            (client.stop if ending == "stop" else client.cancel)(job.job_id)
            wait_until(lambda: lab.report()["connections_now"] == 0)
            assert not answers(client, job).closed
        wait_until(lambda: client.status(job.job_id).closed)
        whole = ending == "stop"
        assert statuses(client.status(job.job_id)) == ["succeeded" if whole else "cancelled"] * 2
        files = list(client.files(job.job_id))
        assert [file.complete for file in files] == [whole] * 2
        assert all(file.size for file in files)
        check_files(Path(job.directory))
        assert all("> quit\n" in text for text in transcripts(job))
        assert lab.report()["dropped"] == 0
