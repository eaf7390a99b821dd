"""Tests `cucmd demo`: it runs one collection and removes everything, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cucmlab.demo import EndedBySignal, ended_by_signals, folder_for_sockets, interruptible
from rig.process import of_session
from rig.small_disk import small_disk

PATIENCE = 60
DEMO = [sys.executable, "-m", "cucmd", "demo"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Yields the folder in which the demo makes its own. Its path is shorter than one of pytest."""
    with TemporaryDirectory(prefix="cucmd-") as folder:
        yield Path(folder)


@pytest.fixture
def environ(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary)}


def run_in(folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(
        DEMO, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_demo_collects_and_cleans_up(temporary: Path) -> None:
    done = run_in(temporary)
    assert done.returncode == 0, done.stderr
    assert "manifest.json" in done.stdout
    assert "removed" in done.stdout.splitlines()[-1]
    assert list(temporary.iterdir()) == []


@pytest.mark.long
def test_short_socket_folder_is_removed(temporary: Path) -> None:
    with folder_for_sockets(temporary) as near:
        assert near == temporary
    with folder_for_sockets(temporary / ("long" * 30)) as short:
        assert short.is_dir()
    assert not short.exists()


def test_signal_waits_for_a_wait() -> None:
    reached = []

    def demonstrate() -> None:
        with ended_by_signals():
            signal.raise_signal(signal.SIGTERM)  # for this thread: others do not let it wait
            reached.append("made")
            with interruptible():
                reached.append("waited")

    with pytest.raises(EndedBySignal):
        demonstrate()
    assert reached == ["made"]


@pytest.mark.long
def test_failed_demo_cleans_up(temporary: Path) -> None:
    with small_disk(temporary / "disk", 2) as disk:
        done = run_in(disk)
        assert done.returncode == 1, done.stderr
        assert "\nNo file came.\n" in done.stdout
        removed = "Failed: exit code 1. Everything is stopped and removed again."
        assert done.stdout.splitlines()[-1] == removed
        assert list(disk.iterdir()) == []


@pytest.mark.long
def test_interrupted_demo_cleans_up(environ: dict, temporary: Path) -> None:
    with subprocess.Popen(
        DEMO,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("$ cucmctl"):
            pass
        process.stdout.readline()  # the id of the job, which runs
        os.killpg(process.pid, signal.SIGINT)  # as a terminal signals its foreground processes
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT
    assert "goes on" not in said
    assert "Traceback" not in said
    what = "interrupted; the job, the daemon and the nodes are stopped and removed again"
    assert said.splitlines()[-1] == f"cucmd demo: {what}"
    assert list(temporary.iterdir()) == []
    assert of_session(process.pid) == []
