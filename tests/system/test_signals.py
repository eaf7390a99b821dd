"""Tests signals while the daemon starts and while it drains, and what a reload waits for."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import in_phase, start, until
from rig.lab import running_lab
from rig.quiet import wait_until

pytestmark = pytest.mark.long


def test_signals_during_start_are_handled_later(tmp_path: Path) -> None:
    environ = {"CUCMD_TEST_SIGNALS": "open_store SIGHUP SIGUSR1"}
    with running_daemon(tmp_path / "cucmd", environ=environ, module="rig.odd_daemon") as daemon:
        wait_until(lambda: "configuration reloaded" in daemon.log.read_text())
        wait_until(lambda: "holding" in daemon.log.read_text())


def serve(folder: Path, **environ: str) -> subprocess.CompletedProcess:
    """Runs a daemon with faults that ends by itself."""
    (folder / "cucmd.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "rig.odd_daemon", "serve"]
    command += ["--config", str(folder / "cucmd.toml"), "--socket", str(folder / "s")]
    command += ["--state-dir", str(folder / "state")]
    search = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": search, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_stop_during_start(tmp_path: Path) -> None:
    done = serve(tmp_path, CUCMD_TEST_SIGNALS="open_store SIGTERM")
    assert done.returncode == -signal.SIGTERM
    assert "Traceback" not in done.stderr


def test_stop_during_recovery_drains(tmp_path: Path) -> None:
    done = serve(tmp_path, CUCMD_TEST_SIGNALS="open_supervisor SIGTERM")
    assert (done.returncode, "stopping on SIGTERM" in done.stderr) == (0, True)


def test_late_os_error_is_a_defect(tmp_path: Path) -> None:
    done = serve(tmp_path, CUCMD_TEST_DEFECT="no such thing")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "OSError: no such thing" in done.stderr


def test_slow_file_delays_only_reload(daemon: Daemon) -> None:
    """A file on a file server may not answer. Here it is a pipe without a writer."""
    config = daemon.folder / "cucmd.toml"
    config.unlink()
    os.mkfifo(config)
    with daemon.client() as client:
        daemon.signal(signal.SIGHUP)
        with config.open("w") as slow:  # returns when the daemon opens it
            assert client.list() == ()
            assert "reloaded" not in daemon.log.read_text()
            slow.write(CONFIG)
        wait_until(lambda: "configuration reloaded" in daemon.log.read_text())


@contextmanager
def draining(folder: Path) -> Iterator[Daemon]:
    """Yields a daemon that waits for a node which ignores Ctrl-C."""
    faulty = running_lab(1, "--fault", "1=hang:command")
    with faulty as lab, running_daemon(folder) as daemon, daemon.client() as client:
        job = start(client, lab, grace=5)
        until(client, job.job_id, in_phase("command"))
        wait_until(lambda: lab.report()["faults_used"] == 1)
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: "stopping on SIGTERM" in daemon.log.read_text())
        yield daemon


@pytest.mark.long
def test_signals_during_drain_are_handled(tmp_path: Path) -> None:
    with draining(tmp_path / "cucmd") as daemon:
        for number, answer in ((signal.SIGUSR1, "holding"), (signal.SIGHUP, "reloaded")):
            daemon.signal(number)
            wait_until(lambda answer=answer: answer in daemon.log.read_text())
        assert daemon.process.wait(30) == 0


@pytest.mark.long
def test_ctrl_c_ends_drain(tmp_path: Path) -> None:
    with draining(tmp_path / "cucmd") as daemon:
        daemon.signal(signal.SIGINT)
        assert daemon.process.wait(30) == -signal.SIGINT
        assert "Traceback" not in daemon.log.read_text()
