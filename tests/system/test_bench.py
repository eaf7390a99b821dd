"""`python tests/bench`: what cannot be measured is said, and two versions are compared."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.installed import CannotInstall, commit_of
from rig.process import Child

REPOSITORY = Path(__file__).parents[2]
BENCH = REPOSITORY / "tests" / "bench"


def bench(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH), "--json", str(folder / "bench.json")]
    return subprocess.run(
        [*command, "--cache", str(folder / "cache"), *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def git(folder: Path, *arguments: str) -> str:
    by = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *by, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Has a commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "first")
    return folder


@pytest.mark.parametrize("name", ["0" * 40, "--all", ""])
def test_a_commit_that_is_not_there_is_no_other(repository: Path, name: str) -> None:
    assert commit_of("HEAD", repository) == git(repository, "rev-parse", "HEAD")
    with pytest.raises(CannotInstall):
        commit_of(name, repository)


def test_processor_time_is_that_of_all_processes() -> None:
    """One that has ended, and one below it that goes on."""
    burn = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"
    script = f"sh -c '{burn}'; echo; read _; sh -c '{burn}; echo; read _'; echo"
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe) as process:
        child = Child(process)
        process.stdout.readline()
        ended = child.cpu()
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        both = child.cpu()
        process.communicate(b"\n")
    assert ended > 0.02
    assert both > 1.5 * ended


def test_without_the_commit_nothing_is_measured(tmp_path: Path) -> None:
    done = bench(tmp_path, "--short", "--against", "0" * 40)
    assert done.returncode == 2
    assert done.stdout == ""
    assert not (tmp_path / "bench.json").exists()


@pytest.mark.long
def test_a_figure_that_cannot_be_measured_here_is_skipped_with_its_reason(tmp_path: Path) -> None:
    only = [word for name in ("receive", "status", "logins") for word in ("--only", name)]
    done = bench(tmp_path, *only, "--nodes", "2", "--rounds", "1", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    skipped = [row[:4] for row in rows if "measured" in row]
    assert skipped == [[name, "not", "measured", "needs"] for name in ("receive", "status")]
    results = json.loads((tmp_path / "bench.json").read_text())
    assert results["logins"]["cancel of 2, not closed cleanly"] == [0]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_versions_are_installed_and_measured(tmp_path: Path) -> None:
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("needs git, and a clone")
    smallest = ("--only", "client", "--rounds", "2", "--calls", "1")
    done = bench(tmp_path, "--against", "HEAD", *smallest)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "bench.json").read_text())
    found = results["client"]["`cucmctl status`, processor time"]
    assert [len(found[side]) for side in ("base", "present")] == [2, 2]
    assert min(found["base"] + found["present"]) > 0

    # The commit is not installed anew.
    (commit,) = (tmp_path / "cache").glob(f"{git(REPOSITORY, 'rev-parse', 'HEAD')[:12]}/bin/cucmd")
    installed = commit.stat().st_mtime_ns
    assert bench(tmp_path, "--against", "HEAD", *smallest).returncode == 0
    assert commit.stat().st_mtime_ns == installed
