"""Tests how jobs are deleted, and that the next start finishes a deletion that a kill cut off."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cucmctl import Client, InvalidRequest, JobBusy, JobNotFound
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon
from rig.jobs import in_phase, start, until
from rig.lab import Lab, running_lab
from rig.quiet import wait_until


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(2, "--files", "3", "--size", "20000", "--fault", "2=hang:command") as lab:
        yield lab


def collect(client: Client, lab: Lab) -> Job:
    job = client.wait(start(client, lab, lab.nodes[:1]).job_id)
    assert job.status == "succeeded", job.nodes[0].failure
    wait_until(lambda: client.status(job.job_id).closed)
    return client.status(job.job_id)


def gone(client: Client, job_id: str) -> bool:
    try:
        client.status(job_id)
    except JobNotFound:
        return True
    return False


@pytest.mark.long
def test_delete_removes_everything(lab: Lab, daemon: Daemon) -> None:
    with daemon.client() as client:
        job = collect(client, lab)
        reply = client.delete(job.job_id)
        assert (reply.job.job_id, reply.bytes) == (job.job_id, 60_000)
        assert not Path(job.directory).exists()
        assert gone(client, job.job_id)
        assert client.list() == ()


@pytest.mark.long
def test_deleted_files_are_reported(lab: Lab, daemon: Daemon) -> None:
    with daemon.client() as client:
        job = collect(client, lab)
        assert job.files_deleted is None
        assert client.delete(job.job_id, files_only=True).bytes == 60_000
        assert client.status(job.job_id).files_deleted
        assert not Path(job.directory).exists()
        for use in (client.export, lambda job_id: list(client.verify(job_id))):
            with pytest.raises(InvalidRequest):
                use(job.job_id)
        assert len(list(client.files(job.job_id))) == 3
        assert client.delete(job.job_id, files_only=True).bytes == 0


@pytest.mark.long
def test_busy_job_is_not_deleted(lab: Lab, make_lab: Callable[..., Lab], daemon: Daemon) -> None:
    # More than a socket holds. A smaller file is sent before the deletion.
    large = make_lab(1, "--files", "1", "--size", "4000000")
    with daemon.client() as client:
        running = start(client, lab, lab.nodes[1:]).job_id
        until(client, running, in_phase("command"))
        done = collect(client, large).job_id
        with client.export(done):
            for job_id in (running, done):
                with pytest.raises(JobBusy):
                    client.delete(job_id)
            assert client.prune(keep=0).jobs == ()
        client.cancel(running)
