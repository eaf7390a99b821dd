"""Messages when the daemon cannot start, and what a reload changes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmctl import CredentialNotFound, ProfileNotFound, ReloadFailed
from cucmd.job.asked import Collection, Login
from cucmd.service.log import MOST_RECORDS
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import as_ended, start
from rig.lab import Lab
from rig.process import die_with_parent
from rig.quiet import wait_until
from rig.varlink_peer import short_path

MakeLab = Callable[..., Lab]


def serve(folder: Path, config: str, *options: str) -> subprocess.CompletedProcess:
    """Runs a `cucmd serve` that is expected to end by itself."""
    file = folder / "cucmd.toml"
    file.write_text(config)
    command = [sys.executable, "-m", "cucmd", "serve", "--config", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.long
def test_without_a_standard_error_it_runs_all_the_same(tmp_path: Path) -> None:
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
def test_a_port_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        options = ("--state-dir", str(tmp_path / "state"), "--socket", str(tmp_path / "s"))
        done = serve(tmp_path, f'[receiver]\nlisten = "{listen}"\n', *options)
    assert done.returncode == 69
    assert f"receiver.listen = '{listen}': " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_an_address_of_another_host_is_named_as_such(tmp_path: Path) -> None:
    options = ("--state-dir", str(tmp_path / "state"), "--socket", str(tmp_path / "s"))
    done = serve(tmp_path, '[receiver]\nlisten = "192.0.2.1:2222"\n', *options)
    assert done.returncode == 69
    assert "listen = '192.0.2.1:2222': " in done.stderr


def test_a_state_directory_that_is_a_file_is_named_with_its_setting(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("a file")
    done = serve(tmp_path, CONFIG, "--state-dir", str(state), "--socket", str(tmp_path / "s"))
    assert done.returncode == 69
    assert f"daemon.state_directory = '{state}': " in done.stderr


@pytest.mark.long
def test_a_socket_that_cannot_be_made_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / "s"
    done = serve(tmp_path, CONFIG, "--state-dir", str(tmp_path / "state"), "--socket", str(path))
    assert done.returncode == 69
    assert f"daemon.socket = '{path}': " in done.stderr
    assert "--socket" in done.stderr


@pytest.mark.long
def test_a_file_at_the_path_of_the_socket_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("a file")
    done = serve(tmp_path, CONFIG, "--state-dir", str(tmp_path / "state"), "--socket", str(path))
    assert done.returncode == 69
    assert f"daemon.socket = '{path}': " in done.stderr


@pytest.mark.long
def test_a_folder_in_which_no_socket_can_be_made_is_named_by_its_setting(tmp_path: Path) -> None:
    path = Path("/proc/s")
    done = serve(tmp_path, CONFIG, "--state-dir", str(tmp_path / "state"), "--socket", str(path))
    assert done.returncode == 69
    assert "daemon.socket = '/proc/s': " in done.stderr


@pytest.mark.long
def test_the_log_says_which_configuration_was_read(daemon: Daemon) -> None:
    assert f"configuration from '{daemon.folder / 'cucmd.toml'}'\n" in daemon.log.read_text()


@pytest.mark.long
def test_incomplete_files_of_a_kill_are_removed(tmp_path: Path) -> None:
    state = tmp_path / "cucmd" / "state"
    state.mkdir(parents=True)
    left = [state / ".receiver_host_key_rsa.4711.new", state / ".known_hosts.4711.new"]
    for path in left:
        path.write_text("half a")
    with running_daemon(tmp_path / "cucmd") as daemon:
        assert [path for path in left if path.exists()] == []
        assert all(str(path) in daemon.log.read_text() for path in left)


@pytest.mark.long
def test_the_directory_of_a_job_that_has_ended_may_be_removed(
    tmp_path: Path, make_lab: MakeLab
) -> None:
    lab = make_lab(1, "--files", "1")
    with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
    shutil.rmtree(job.directory)
    with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
        # Somebody else has removed it, and that is shown.
        ended = replace(as_ended(client.status(job.job_id)), files_deleted=None)
        assert ended == replace(as_ended(job), files_deleted=None)
        assert "ERROR" not in daemon.log.read_text()
        assert not Path(job.directory).exists()
        exported = daemon.ctl("export", job.job_id, cwd=tmp_path)
        assert exported.returncode == 65, "trying later is of no use"


def reload(daemon: Daemon, config: str) -> str:
    """Reloads the configuration; returns what the log says of it."""
    before = len(daemon.log.read_text())
    (daemon.folder / "cucmd.toml").write_text(config)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in daemon.log.read_text()[before:])
    return daemon.log.read_text()[before:]


def test_a_reload_names_what_waits_for_a_restart(daemon: Daemon) -> None:
    assert "restart" not in reload(daemon, CONFIG + "jobs = 3\n[timeouts]\nconnect = 5\n")
    later = CONFIG.replace("free_space_bytes = 0", "free_space_bytes = 5")
    later += "watchers_per_uid = 5\n[clusters.old]\nnodes = ['a']\nlegacy_algorithms = true\n"
    said = reload(daemon, later)
    names = "limits.free_space_bytes, limits.watchers_per_uid, legacy_algorithms of the receiver"
    assert f"restart: {names}\n" in said


def test_a_reload_uses_both_files_or_none(daemon: Daemon) -> None:
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
        with pytest.raises(CredentialNotFound):  # the profile is known now
            client.start(["192.0.2.1"], login=login, work=collection)


@pytest.mark.long
def test_one_user_who_reloads_cannot_fill_the_log(make_daemon: Callable[..., Daemon]) -> None:
    """Neither with a good configuration, whose notices are lines too, nor with a wrong one."""
    good = CONFIG + "[access]\noperate_group = 'no.such'\n"
    daemon = make_daemon("[access]\noperate_group = 'no.such'\n")
    with daemon.client() as client:
        for config in (good, "[limits\n"):
            (daemon.folder / "cucmd.toml").write_text(config)
            for _ in range(400):
                with suppress(ReloadFailed):
                    client.reload()
    lines = daemon.log.read_text().splitlines()
    # The test is no service manager that listens to the end. Each level is limited on its own.
    assert len([line for line in lines if "notify" not in line]) < 3 * MOST_RECORDS + 50


@pytest.mark.long
def test_a_reload_says_that_the_socket_keeps_its_group(daemon: Daemon) -> None:
    said = reload(daemon, CONFIG + "[access]\noperate_group = 'root'\n")
    assert "restart: access.operate_group of the socket\n" in said


@pytest.mark.long
def test_what_waits_for_a_restart_is_what_differs_from_the_start(daemon: Daemon) -> None:
    changed = CONFIG + "watchers_per_uid = 5\n"
    for _ in range(2):  # it waits still when the same is read again
        assert "restart: limits.watchers_per_uid\n" in reload(daemon, changed)
    assert "restart" not in reload(daemon, CONFIG)


@pytest.mark.long
def test_a_group_that_does_not_exist_is_in_the_log(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon("[access]\noperate_group = 'no.such'\n")
    assert "access.operate_group: 'no.such': " in daemon.log.read_text()
    said = reload(daemon, CONFIG + "[access]\nview_group = 'nor.this'\n")
    assert "access.view_group: 'nor.this': " in said


@pytest.mark.long
@pytest.mark.parametrize("opts_in", [False, True])
def test_a_cluster_of_old_nodes_logs_in_and_pushes_where_it_opts_in(
    tmp_path: Path, make_lab: MakeLab, opts_in: bool
) -> None:
    lab = make_lab(1, "--algorithms", "legacy", "--files", "1")
    cluster = f'[clusters.old]\nnodes = ["{lab.nodes[0]}"]\nlegacy_algorithms = true\n'
    config = CONFIG + (cluster if opts_in else "")
    with running_daemon(tmp_path / "cucmd", config) as daemon, daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
    failure = job.nodes[0].failure
    assert (failure and failure.code) == (None if opts_in else "no_common_algorithm")


def test_a_reload_needs_the_credentials_that_are_configured(tmp_path: Path) -> None:
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


def test_a_credential_of_systemd_that_came_later_needs_a_restart(
    tmp_path: Path, make_lab: MakeLab
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    lab = make_lab(1, "--fault", "hang:command")
    with running_daemon(tmp_path / "cucmd", environ=environ) as daemon, daemon.client() as client:
        job = start(client, lab)  # its password would be gone
        named = "[clusters.lab]\nnodes = ['10.0.0.1']\ncredential = 'lab'\n"
        (tmp_path / "cucmd" / "cucmd.toml").write_text(CONFIG + named)
        with pytest.raises(ReloadFailed) as refused:
            client.reload()
        reason = refused.value.parameters.reason
        assert "restart" in reason
        assert "1 job, and 1 cannot" in reason
        client.cancel(job.job_id)
        client.wait(job.job_id)
