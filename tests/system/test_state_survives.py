"""Tests a damaged database, which is set aside, and a failing disk, which fails only requests."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import JobNotFound, StorageFailed
from rig.daemon import Daemon, running_daemon
from rig.inspection import check_database, check_files, digest
from rig.jobs import as_ended, in_phase, start, statuses, until
from rig.lab import Lab, running_lab
from rig.quiet import wait_until


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(2, "--files", "3", "--size", "20000", "--fault", "2=hang:command") as lab:
        yield lab


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> tuple[Path, str]:
    """Returns the folder of a stopped daemon, and the id of its one job."""
    folder = tmp_path_factory.mktemp("before") / "cucmd"
    with running_daemon(folder) as daemon, daemon.client() as client:
        job = client.wait(start(client, lab, lab.nodes[:1]).job_id)
        assert job.status == "succeeded"
    return folder, job.job_id


def overwrite_middle(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (database.stat().st_size - 8192))


@pytest.mark.long
def test_damaged_database_is_set_aside(tmp_path: Path, lab: Lab, before: tuple[Path, str]) -> None:
    folder = tmp_path / "cucmd"
    shutil.copytree(before[0], folder)
    database = folder / "state" / "cucmd.db"
    overwrite_middle(database)
    damaged = digest(database)
    files = [path for path in (folder / "state" / "jobs").rglob("*") if path.is_file()]
    assert files

    with running_daemon(folder) as daemon, daemon.client() as client:
        (aside,) = set_aside(daemon.state)
        assert digest(aside) == damaged
        (said,) = (line for line in daemon.log.read_text().splitlines() if " ERROR " in line)
        assert aside.name in said
        with pytest.raises(JobNotFound):
            client.status(before[1])
        job = client.wait(start(client, lab, lab.nodes[:1]).job_id)
        assert job.status == "succeeded"

    overwrite_middle(database)
    with running_daemon(folder) as daemon, daemon.client() as client:
        assert client.list() == ()
        assert len(set_aside(daemon.state)) == 2
        assert digest(aside) == damaged, "what was set aside is never written to again"
    assert all(path.exists() for path in files), "files of earlier jobs stay"
    check_files(Path(job.directory))


def set_aside(state: Path) -> list[Path]:
    """Returns the databases that were set aside, without the companion files of SQLite."""
    found = state.glob("cucmd.db.damaged-*")
    return [path for path in found if not path.name.endswith(("-wal", "-shm"))]


class Failing:
    """Holds a daemon whose disk fails while the file `fault` exists."""

    def __init__(self, daemon: Daemon, fault: Path) -> None:
        self.daemon = daemon
        self._fault = fault

    def fail(self, kind: str = "", error: str = "disk I/O error") -> None:
        fresh = self._fault.with_suffix(".new")
        fresh.write_text(f"{kind}{error}")
        fresh.replace(self._fault)

    def heal(self) -> None:
        self._fault.unlink()


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Failing]:
    fault = tmp_path / "fault"
    environ = {"CUCMD_TEST_FAULT": str(fault)}
    with running_daemon(tmp_path / "cucmd", environ=environ, module="rig.odd_daemon") as daemon:
        yield Failing(daemon, fault)


@pytest.mark.long
def test_unreadable_disk_shows_live_jobs(lab: Lab, failing: Failing) -> None:
    daemon = failing.daemon
    with daemon.client() as client:
        ended = client.wait(start(client, lab, lab.nodes[:1]).job_id)
        running = start(client, lab, lab.nodes[1:], command=60, grace=0.5)
        until(client, running.job_id, in_phase("command"))
        failing.fail("read: ")
        for asked in (lambda: client.status(ended.job_id), client.list):
            with pytest.raises(StorageFailed, match="disk I/O error"):
                asked()
        assert daemon.ctl("status", ended.job_id).returncode == 75
        assert client.status(running.job_id).status == "running", "it is in memory"
        with pytest.raises(StorageFailed):
            client.cancel(running.job_id)
        failing.heal()
        assert as_ended(client.status(ended.job_id)) == as_ended(ended)
        assert statuses(client.wait(running.job_id, timeout=20)) == ["cancelled"]


@pytest.mark.long
def test_daemon_stops_while_disk_fails(tmp_path: Path, lab: Lab, failing: Failing) -> None:
    daemon = failing.daemon
    with daemon.client() as client:
        job = start(client, lab, lab.nodes[1:], command=60, grace=0.5)
        until(client, job.job_id, in_phase("command"))
        failing.fail()
    assert daemon.stop(within=15) == 0
    failing.heal()
    with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
        assert client.wait(job.job_id).nodes[0].failure.code == "interrupted"


@pytest.mark.long
def test_snapshot_of_state_is_backup(tmp_path: Path, lab: Lab) -> None:
    """Jobs that had ended before the snapshot are whole; the others are interrupted.

    The daemon is stopped by a signal meanwhile, since a snapshot has all files of one moment.
    """
    with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
        hangs = start(client, lab)  # the second node hangs
        done = [client.wait(start(client, lab, lab.nodes[:1]).job_id).job_id for _ in range(3)]
        wait_until(lambda: client.status(done[-1]).closed)
        busy = [start(client, lab, lab.nodes[:1]).job_id for _ in range(5)]  # meanwhile
        daemon.process.send_signal(signal.SIGSTOP)
        shutil.copytree(daemon.state, tmp_path / "restored" / "state", symlinks=True)
        daemon.process.send_signal(signal.SIGCONT)
        for job_id in busy:
            client.wait(job_id)
        client.cancel(hangs.job_id)
        client.wait(hangs.job_id)
    check_database(tmp_path / "restored" / "state" / "cucmd.db")
    with running_daemon(tmp_path / "restored") as restored, restored.client() as client:
        for job_id in done:
            assert statuses(client.status(job_id)) == ["succeeded"]
            *_, last = client.verify(job_id)
            assert (last.files, last.wrong) == (3, ())
        assert client.wait(hangs.job_id).nodes[1].failure.code == "interrupted"
