"""`cucmctl metrics` and `top` with a daemon, and promtool on all that is for Prometheus."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cucmctl.cli import exits
from cucmd.protocol.figures import FiguresReply
from rig.daemon import Daemon
from rig.jobs import start
from rig.lab import Lab
from rig.pages import ROOT
from rig.quiet import wait_until
from system.ctl.terminal import Terminal

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def promtool(*words: str, read: str = "") -> str:
    """Returns what promtool complains about."""
    done = subprocess.run(
        ["promtool", *words],
        input=read,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


@needs_promtool
def test_promtool_accepts_metrics(daemon: Daemon) -> None:
    assert promtool("check", "metrics", read=daemon.ctl("metrics").stdout) == ""


@needs_promtool
def test_promtool_accepts_alert_rules() -> None:
    assert promtool("check", "rules", "--lint-fatal", str(ROOT / "systemd/cucmd-alerts.yml")) == ""


@needs_promtool
def test_alerts_fire_only_when_needed() -> None:
    assert promtool("test", "rules", str(Path(__file__).with_name("alert_rules.yml"))) == ""


def test_file_is_replaced_and_readable(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "textfiles/cucmd.prom"
    file.parent.mkdir()
    file.write_text("old")
    done = daemon.ctl("metrics", "-o", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert "\ncucmd_up 1.0\n" in file.read_text()
    assert (file.stat().st_mode & 0o777, os.listdir(file.parent)) == (0o644, ["cucmd.prom"])


def metrics_without_daemon(folder: Path, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cucmctl", "--socket", str(folder / "none")]
    return subprocess.run(
        [*command, "metrics", "-o", str(file)], capture_output=True, text=True, check=False
    )


def test_file_says_that_daemon_is_down(tmp_path: Path) -> None:
    file = tmp_path / "cucmd.prom"
    assert metrics_without_daemon(tmp_path, file).returncode == exits.UNAVAILABLE
    assert file.read_text().splitlines()[-1] == "cucmd_up 0.0"


def test_unwritable_file_is_named(tmp_path: Path) -> None:
    done = metrics_without_daemon(tmp_path, tmp_path / "none/cucmd.prom")
    assert done.returncode == exits.CANNOT_WRITE
    assert str(tmp_path / "none/cucmd.prom") in done.stderr


def counts(shown: FiguresReply) -> dict[str, int]:
    """Returns how many durations each histogram has."""
    return {one.of: sum(one.counts) for one in shown.durations}


def test_figures_count_a_collection(daemon: Daemon, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(2)
    with daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
        shown = client.figures(per_node=True)
    ended = {one.node: one.nodes for one in shown.nodes_ended if one.nodes}
    assert ended == dict.fromkeys(lab.nodes, 1)
    assert shown.bytes_received == sum(node.bytes_received for node in job.nodes)
    assert shown.files_received == sum(node.files_received for node in job.nodes)
    seen = counts(shown)
    assert seen["connect"] == seen["login"] == seen["transfer"] == len(lab.nodes)


def test_figures_of_process_and_disk(daemon: Daemon) -> None:
    with daemon.client() as client:
        wait_until(lambda: len(daemon.tree()) > 1)
        os.kill(daemon.tree()[1], signal.SIGKILL)  # the server that starts workers
        wait_until(lambda: client.figures().worker_restarts == 1)
        wait_until(lambda: counts(client.figures())["event_loop_lag"] > 0)

        def error() -> int:
            return abs(client.figures().free_bytes - shutil.disk_usage(daemon.state).free)

        wait_until(lambda: error() < 100_000_000)  # other programs use the disk, too


def test_connections_to_socket_are_counted(daemon: Daemon) -> None:
    with daemon.client() as one, daemon.client() as other:
        one.list()
        wait_until(lambda: other.figures().socket_connections == 2)


def test_top_lists_nodes_at_work(daemon: Daemon, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(2, "--fault", "hang:command")
    with daemon.client() as client:
        job = start(client, lab)
        wait_until(lambda: all(n.phase == "command" for n in client.status(job.job_id).nodes))
        shown = json.loads(daemon.ctl("--json", "top", "--once").stdout)
        assert {node["node"] for node in shown["nodes"]} == set(lab.nodes)
        text = daemon.ctl("top").stdout.splitlines()
        assert text[0].startswith("jobs: 1 running, 0 waiting; nodes: 2 at work, 0 waiting;")
        assert len(text) == 5
        check_live_view(daemon, lab.nodes[1])
        client.cancel(job.job_id)


def check_live_view(daemon: Daemon, node: str) -> None:
    """Looks at the view on a terminal, makes the terminal smaller, and ends the view by Ctrl-C."""
    command = [sys.executable, "-m", "cucmctl", "--socket", str(daemon.socket), "top"]
    screen = Terminal(command, {**os.environ, "TERM": "xterm"}, 80, 24)
    try:
        screen.until(node)
        for columns, rows, shown in ((80, 5, "and 2 more"), (44, 12, "silent")):
            screen.resize(columns, rows)
            screen.raw = ""
            screen.until_frame(columns, rows)
            screen.until(shown)
        screen.read_until(lambda: "".join(screen.alternate or ()).count("silent") == 2)
        screen.type("\x03\x03")  # people press it twice
        assert screen.ended() == exits.INTERRUPTED
        assert (screen.alternate, screen.cursor_shown, screen.unknown) == (None, True, [])
        assert screen.settings == screen.before
        assert screen.screen.count("silent") == 2  # the last state stays
        assert "Traceback" not in screen.raw
    finally:
        screen.close()
