"""What a job has covered of its window, from the time stamps in the files that a node pushed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cucmd.job.asked import Collection, Login
from cucmd.job.coverage import Extent
from cucmd.protocol.jobs import Job, Node
from rig.daemon import CONFIG, Daemon, running_daemon
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
            work=Collection(
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


def looked_at(daemon: Daemon, job: Job, folder: Path) -> Node:
    exported(daemon, job, folder)
    with daemon.client() as client:
        return client.status(job.job_id).nodes[0]


def window(job: Job) -> Extent:
    since, until = str(job.collection.since), str(job.collection.until)
    return Extent(datetime.fromisoformat(since), datetime.fromisoformat(until))


def in_words(job: Job) -> str:
    bounds = [bound.astimezone(ZONE) for bound in (window(job).since, window(job).until) if bound]
    form = "%H:%M" if bounds[0].date() == bounds[1].date() else "%Y-%m-%d %H:%M"
    return " to ".join(bound.strftime(form) for bound in bounds)


@pytest.mark.long
@pytest.mark.parametrize("compress", [False, True])
def test_a_window_that_is_covered(daemon: Daemon, lab: Lab, tmp_path: Path, compress: bool) -> None:
    job = collect(daemon, lab, SDL, minutes=30, compress=compress)
    said = f"covers {in_words(job)} ({ZONE})"
    folder = tmp_path / "out"
    node = looked_at(daemon, job, folder)
    assert (node.coverage, node.extent) == (said, window(job))
    assert said in (folder / "summary.txt").read_text()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["job"]["nodes"][0]["coverage"] == said
    assert f"{lab.nodes[0]}: covers the window" in daemon.ctl("status", job.job_id).stdout


@pytest.mark.long
def test_what_a_stop_has_interrupted_is_read_once_it_is_asked_for(lab: Lab, tmp_path: Path) -> None:
    home = tmp_path / "cucmd"
    with running_daemon(home, CONFIG) as daemon:
        job = collect(daemon, lab, SDL, minutes=30)
        daemon.kill()
    with running_daemon(home, CONFIG) as daemon:
        assert looked_at(daemon, job, tmp_path / "out").extent == window(job)
