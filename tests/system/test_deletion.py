"""Jobs are deleted at the socket, and a kill in the middle is finished by the next start."""

import os
import random
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from cucmctl import Client, DaemonUnavailable, InvalidRequest, JobBusy, JobNotFound
from cucmd.protocol.jobs import Job
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import in_phase, start, until
from rig.lab import Lab, running_lab
from rig.quiet import wait_until

MakeDaemon = Callable[..., Daemon]
FILES = 4000
KILLS = 3


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


def fill(directory: Path) -> None:
    """Files as of a large job; what a node pushed is removed without a look at the records."""
    for folder in (directory / "more" / "files" / str(number) for number in range(8)):
        folder.mkdir(parents=True)
        for number in range(FILES // 8):
            (folder / f"{number}.txt").touch()


def test_a_job_is_deleted_with_everything(lab: Lab, daemon: Daemon) -> None:
    with daemon.client() as client:
        job = collect(client, lab)
        reply = client.delete(job.job_id)
        assert (reply.job.job_id, reply.bytes) == (job.job_id, 60_000)
        assert not Path(job.directory).exists()
        assert gone(client, job.job_id)
        assert client.list() == ()


@pytest.mark.long
def test_a_job_whose_files_are_deleted_says_so(lab: Lab, daemon: Daemon) -> None:
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
def test_a_directory_that_somebody_has_removed_is_told(lab: Lab, daemon: Daemon) -> None:
    with daemon.client() as client:
        job = collect(client, lab)
        Path(job.directory).rename(daemon.folder / "elsewhere")
        assert client.status(job.job_id).files_deleted
        client.delete(job.job_id)
        assert gone(client, job.job_id)


@pytest.mark.long
def test_a_job_that_runs_or_is_exported_stays(
    lab: Lab, make_lab: Callable[..., Lab], daemon: Daemon
) -> None:
    # More than a socket holds: what is small is sent, and not read any more, before it is asked.
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


@pytest.mark.long
def test_jobs_are_pruned_by_what_is_given(lab: Lab, daemon: Daemon) -> None:
    with daemon.client() as client:
        kept, case, older, newest = [collect(client, lab).job_id for _ in range(4)]
        client.label(kept, {"keep": "yes"})
        client.label(case, {"case": "1"})
        with pytest.raises(InvalidRequest):
            client.prune()
        assert client.prune(older_than="1d").jobs == ()
        assert client.prune(larger_than=60_000, keep=0).jobs == ()
        dry = client.prune(keep=1, dry_run=True)
        assert ([job.job_id for job in dry.jobs], dry.bytes) == ([older, case], 120_000)
        assert [job.job_id for job in client.prune(labels={"case": "1"}).jobs] == [case]
        assert [job.job_id for job in client.prune(keep=1).jobs] == [older]
        assert [job.job_id for job in client.list()] == [newest, kept]


@pytest.mark.long
def test_retention_is_applied_after_each_job(lab: Lab, make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("[retention]\njobs = 2\n")
    with daemon.client() as client:
        first, *others = [collect(client, lab).job_id for _ in range(3)]
        wait_until(lambda: gone(client, first))
        assert [job.job_id for job in client.list()] == others[::-1]


def left(directory: Path) -> int:
    """Returns how many of the files of `fill` there still are."""
    count = 0
    for folder in (directory / "more" / "files").glob("*"):
        with suppress(FileNotFoundError):
            count += len(os.listdir(folder))
    return count


def mark_of(daemon: Daemon, job_id: str) -> str | None:
    """Reads what the database says of the deletion of a job that is in it."""
    with closing(sqlite3.connect(daemon.state / "cucmd.db")) as raw:
        row = raw.execute("SELECT deletion FROM job WHERE job_id = ?", (job_id,)).fetchone()
    return row[0]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("files_only", [False, True])
def test_a_kill_in_the_middle_is_finished_by_the_next_start(
    lab: Lab, tmp_path: Path, files_only: bool
) -> None:
    folder = tmp_path / "cucmd"
    for _ in range(KILLS):
        least = random.randrange(1, FILES)
        with running_daemon(folder, CONFIG) as daemon, daemon.client() as client:
            job = collect(client, lab)
            directory = Path(job.directory)
            fill(directory)

            def kill(directory: Path = directory, least: int = least) -> None:
                while left(directory) > least:
                    pass
                daemon.signal(signal.SIGKILL)

            killer = threading.Thread(target=kill)
            killer.start()
            with suppress(DaemonUnavailable):  # it may be quicker than its killer
                client.delete(job.job_id, files_only=files_only)
            killer.join()
            daemon.process.wait()
            if directory.exists():
                assert mark_of(daemon, job.job_id) == ("files" if files_only else "job")
        with running_daemon(folder, CONFIG) as daemon, daemon.client() as client:
            wait_until(lambda directory=directory: not directory.exists())
            if files_only:
                assert client.status(job.job_id).files_deleted
                wait_until(lambda job_id=job.job_id: mark_of(daemon, job_id) == "done")
            else:
                wait_until(lambda job_id=job.job_id: gone(client, job_id))
