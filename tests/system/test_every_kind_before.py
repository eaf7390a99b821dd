"""A job of each kind, as a daemon has stored it before the schema of today, is shown as then.

tests/unit/store/fixtures/v6-every-kind.sql is the database of commit 267da14. Its daemon had run
a job of each kind on nodes of its lab: one that works, one with a fault, and one that hung until it
was cancelled or timed out. The folder beside it has what that daemon said of these jobs, and the
files of one of them.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from rig.daemon import Daemon, running_daemon
from rig.pages import ROOT

pytestmark = pytest.mark.long

FIXTURES = ROOT / "tests/unit/store/fixtures"
KEPT = FIXTURES / "v6-every-kind"
BEFORE = json.loads((KEPT / "replies.json").read_text())
(WITH_FILES,) = (KEPT / "jobs").iterdir()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("before") / "cucmd"
    state = folder / "state"
    shutil.copytree(KEPT / "jobs", state / "jobs")
    for job in BEFORE["status"]:  # a job without a folder is one whose files have gone
        (state / "jobs" / job["job_id"]).mkdir(exist_ok=True)
    with closing(sqlite3.connect(state / "cucmd.db")) as raw:
        raw.executescript((FIXTURES / "v6-every-kind.sql").read_text())
    with running_daemon(folder) as daemon:
        yield daemon


def as_json(reply: object) -> object:
    return json.loads(msgspec.json.encode(reply))


def as_before(value: object, before: object) -> object:
    """Leaves out the fields that have come since."""
    if isinstance(before, dict) and isinstance(value, dict):
        return {name: as_before(value.get(name), old) for name, old in before.items()}
    if isinstance(before, list) and isinstance(value, list) and len(value) == len(before):
        return [as_before(*pair) for pair in zip(value, before, strict=True)]
    return value


@pytest.mark.parametrize("before", BEFORE["status"], ids=lambda job: job["kind"])
def test_a_job_of_each_kind_is_shown_as_it_was(daemon: Daemon, before: dict) -> None:
    with daemon.client() as client:
        shown = as_json(client.status(before["job_id"]))
    assert as_before(shown, before) == before


def test_they_are_listed_as_they_were(daemon: Daemon) -> None:
    with daemon.client() as client:
        shown = as_json(client.list())
    assert as_before(shown, BEFORE["list"]) == BEFORE["list"]


def test_what_one_of_them_has_collected_is_verified_and_exported(
    daemon: Daemon, tmp_path: Path
) -> None:
    assert daemon.ctl("verify", WITH_FILES.name).returncode == 0
    out = tmp_path / "case"
    done = daemon.ctl("export", WITH_FILES.name, "--format", "dir", "-o", str(out))
    assert done.returncode == 0, done.stderr
    # The other node has not succeeded.
    assert contents(out / "127.1.9.1_2022") == contents(WITH_FILES / "127.1.9.1_2022")


def contents(folder: Path) -> dict[Path, str]:
    return {one.relative_to(folder): one.read_text() for one in folder.rglob("*.txt")}
