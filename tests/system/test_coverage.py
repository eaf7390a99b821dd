"""What a job has covered of its window, from the time stamps in the files that a node pushed."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cucmd.job.asked import Collection, Login
from cucmd.protocol.jobs import Job
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import Lab, running_lab

# A trace every five minutes, the oldest an hour old.
SHAPE = ("--files", "12", "--every", "300", "--size", "5000")
ZONE = ZoneInfo("America/St_Johns")
SDL = "cm/trace/ccm/sdl"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(1, "--stamps", "--timezone", str(ZONE), *SHAPE) as lab:
        yield lab


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running_daemon(tmp_path_factory.mktemp("coverage") / "cucmd", CONFIG) as daemon:
        yield daemon


def collect(daemon: Daemon, lab: Lab, *paths: str, minutes: int, compress: bool = False) -> Job:
    """Collects the last `minutes`."""
    now = datetime.now(UTC)
    since = now - timedelta(minutes=minutes)
    with daemon.client() as client:
        job = client.start(
            lab.nodes,
            login=Login(lab.username, lab.password),
            collection=Collection(
                paths=paths, since=since.isoformat(), until=now.isoformat(), compress=compress
            ),
        )
        assert client.wait(job.job_id).status == "succeeded"
    return job


def exported(daemon: Daemon, job: Job, folder: Path) -> Path:
    """Exports the job as a folder. An export waits until its files have been looked at."""
    done = daemon.ctl("export", job.job_id, "-o", str(folder), "--format", "dir")
    assert done.returncode == 0, done.stderr
    return folder


def coverage(daemon: Daemon, job: Job, folder: Path) -> str | None:
    exported(daemon, job, folder)
    with daemon.client() as client:
        return client.status(job.job_id).nodes[0].coverage


def window(job: Job) -> str:
    bounds = [
        datetime.fromisoformat(text).astimezone(ZONE)
        for text in (job.collection.since, job.collection.until)
    ]
    form = "%H:%M" if bounds[0].date() == bounds[1].date() else "%Y-%m-%d %H:%M"
    return " to ".join(bound.strftime(form) for bound in bounds)


@pytest.mark.long
@pytest.mark.parametrize("compress", [False, True])
def test_a_window_that_is_covered(daemon: Daemon, lab: Lab, tmp_path: Path, compress: bool) -> None:
    job = collect(daemon, lab, SDL, minutes=30, compress=compress)
    said = f"covers {window(job)} ({ZONE})"
    folder = tmp_path / "out"
    assert coverage(daemon, job, folder) == said
    assert said in (folder / "summary.txt").read_text()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["job"]["nodes"][0]["coverage"] == said
    assert f"{lab.nodes[0]}: covers the window" in daemon.ctl("status", job.job_id).stdout
    with daemon.client() as client:
        extent = client.status(job.job_id).nodes[0].extent
    assert extent is not None
    assert [str(job.collection.since), str(job.collection.until)] == [
        moment.isoformat().replace("+00:00", "Z")
        for moment in (extent.since, extent.until)
        if moment
    ]


@pytest.mark.long
def test_the_window_of_a_last(daemon: Daemon, lab: Lab, tmp_path: Path) -> None:
    with daemon.client() as client:
        job = client.wait(start(client, lab, last="30m").job_id)
    assert coverage(daemon, job, tmp_path / "out") == f"covers {window(job)} ({ZONE})"


@pytest.mark.long
def test_traces_that_begin_within_the_window(daemon: Daemon, lab: Lab, tmp_path: Path) -> None:
    job = collect(daemon, lab, SDL, minutes=120)
    said = coverage(daemon, job, tmp_path / "out")
    assert said is not None
    assert re.fullmatch(rf"begins ([\d-]+ )?\d\d:\d\d, [\dh min]+ missing \({ZONE}\)", said)
    assert said in (tmp_path / "out/summary.txt").read_text()
    with daemon.client() as client:
        (gap,) = client.status(job.job_id).nodes[0].gaps or ()
    assert job.collection.since is not None
    since = datetime.fromisoformat(job.collection.since)
    assert gap.seconds is not None
    assert gap.at is not None
    assert timedelta() <= gap.at - since - timedelta(seconds=gap.seconds) < timedelta(seconds=2)
    line = f"GAP  {lab.nodes[0]}: {SDL} begins "
    assert any(one.startswith(line) for one in daemon.ctl("status", job.job_id).stdout.splitlines())


@pytest.mark.long
def test_what_a_stop_has_interrupted_is_read_once_it_is_asked_for(lab: Lab, tmp_path: Path) -> None:
    home = tmp_path / "cucmd"
    with running_daemon(home, CONFIG) as daemon:
        job = collect(daemon, lab, SDL, minutes=30)
        daemon.kill()
    with running_daemon(home, CONFIG) as daemon:
        assert coverage(daemon, job, tmp_path / "out") == f"covers {window(job)} ({ZONE})"
