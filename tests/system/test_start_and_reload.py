"""Tests the messages of a daemon that cannot start, and what a reload changes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cucmctl import CredentialNotFound, ProfileNotFound, ReloadFailed
from cucmd.job.work_request import Collection, Login
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import Lab
from rig.process import die_with_parent
from rig.quiet import wait_until
from rig.varlink_peer import short_path

MakeLab = Callable[..., Lab]


def serve(folder: Path, config: str, *options: str) -> subprocess.CompletedProcess:
    """Runs a `cucmd serve` that ends by itself."""
    file = folder / "cucmd.toml"
    file.write_text(config)
    command = [sys.executable, "-m", "cucmd", "serve", "--config", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.long
def test_daemon_runs_without_standard_error(tmp_path: Path) -> None:
    (tmp_path / "cucmd.toml").write_text(CONFIG)
    with short_path() as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        path.parent.mkdir()
        notices.bind(str(path.parent / "notify"))
        notices.settimeout(60)
        command = ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-m", "cucmd", "serve"]
        command += ["--config", str(tmp_path / "cucmd.toml"), "--socket", str(path)]
        command += ["--state-dir", str(tmp_path / "state")]
        environ = {**os.environ, "NOTIFY_SOCKET": str(path.parent / "notify")}
        with subprocess.Popen(command, env=environ, preexec_fn=die_with_parent) as process:
            try:
                assert b"READY=1" in notices.recv(4096)
                assert os.readlink(f"/proc/{process.pid}/fd/2") == "/dev/null"
            finally:
                process.terminate()
        assert process.returncode == 0


@pytest.mark.long
def test_taken_port_names_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        options = ("--state-dir", str(tmp_path / "state"), "--socket", str(tmp_path / "s"))
        done = serve(tmp_path, f'[receiver]\nlisten = "{listen}"\n', *options)
    assert done.returncode == 69
    assert f"receiver.listen = '{listen}': " in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_state_directory_names_setting(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("a file")
    done = serve(tmp_path, CONFIG, "--state-dir", str(state), "--socket", str(tmp_path / "s"))
    assert done.returncode == 69
    assert f"daemon.state_directory = '{state}': " in done.stderr


def test_start_names_missing_credentials(tmp_path: Path) -> None:
    """The daemon starts nevertheless: other clusters may need none."""
    named = "[clusters.lab]\nnodes = ['10.0.0.1']\ncredential = 'lab'\n"
    with running_daemon(tmp_path / "cucmd", CONFIG + named) as daemon:
        assert "clusters.lab.credential: no credential 'lab'" in daemon.log.read_text()


def reload(daemon: Daemon, config: str) -> str:
    """Reloads the configuration; returns what the log says of it."""
    before = len(daemon.log.read_text())
    (daemon.folder / "cucmd.toml").write_text(config)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in daemon.log.read_text()[before:])
    return daemon.log.read_text()[before:]


@pytest.mark.long
def test_reload_names_settings_needing_restart(daemon: Daemon) -> None:
    assert "restart" not in reload(daemon, CONFIG + "jobs = 3\n[timeouts]\nconnect = 5\n")
    later = CONFIG.replace("free_space_bytes = 0", "free_space_bytes = 5")
    later += "watchers_per_uid = 5\n[clusters.old]\nnodes = ['a']\nlegacy_algorithms = true\n"
    said = reload(daemon, later)
    names = "limits.free_space_bytes, limits.watchers_per_uid, legacy_algorithms of the receiver"
    assert f"restart: {names}\n" in said


def test_reload_uses_both_files_or_none(daemon: Daemon) -> None:
    (daemon.state / "known_hosts").mkdir()
    (daemon.folder / "cucmd.toml").write_text(CONFIG + "[profiles.new]\npaths = ['syslog']\n")
    with daemon.client() as client:
        with pytest.raises(ReloadFailed) as failed:
            client.reload()
        assert str(daemon.state / "known_hosts") in failed.value.parameters.reason
        collection = Collection(profile="new")
        with pytest.raises(ProfileNotFound):
            client.start(["192.0.2.1"], login=Login("a", "b"), work=collection)
        (daemon.state / "known_hosts").rmdir()
        assert client.reload().after_restart == ()
        login = Login(credential="none")
        with pytest.raises(CredentialNotFound):  # the daemon knows the profile now
            client.start(["192.0.2.1"], login=login, work=collection)


@pytest.mark.long
@pytest.mark.parametrize("opts_in", [False, True])
def test_legacy_algorithms_need_opt_in(tmp_path: Path, make_lab: MakeLab, opts_in: bool) -> None:
    lab = make_lab(1, "--algorithms", "legacy", "--files", "1")
    cluster = f'[clusters.old]\nnodes = ["{lab.nodes[0]}"]\nlegacy_algorithms = true\n'
    config = CONFIG + (cluster if opts_in else "")
    with running_daemon(tmp_path / "cucmd", config) as daemon, daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
    failure = job.nodes[0].failure
    assert (failure and failure.code) == (None if opts_in else "no_common_algorithm")


@pytest.mark.long
def test_reload_needs_configured_credentials(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    named = "[clusters.lab]\nnodes = ['10.0.0.1']\ncredential = 'lab'\n"
    with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
        config = tmp_path / "cucmd" / "cucmd.toml"
        config.write_text(f"{CONFIG}[credentials]\ndirectory = '{folder}'\n{named}")
        with pytest.raises(ReloadFailed) as refused:
            client.reload()
        assert refused.value.parameters.reason.startswith("clusters.lab.credential: ")
        assert client.clusters() == ()
        (folder / "lab.password").touch(0o600)
        (folder / "lab.password").write_text("secret")
        client.reload()
        assert [cluster.name for cluster in client.clusters()] == ["lab"]
