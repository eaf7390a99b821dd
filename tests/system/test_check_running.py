"""`cucmd check --running` against real daemons: what differs, and what brings it in."""

import grp
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cucmd.config import check, load
from cucmd.job.asked import Collection, Login
from cucmd.main import main
from cucmd.protocol.knowledge import Difference
from cucmd.running import check_running
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL, start
from rig.lab import Lab
from rig.others import allow_all_to_connect, as_user, why_not
from rig.readable_python import readable_python
from rig.varlink_peer import short_path

MakeLab = Callable[..., Lab]
SOMEBODY = 61001  # a user that is in no database
VIEW = [group for group in grp.getgrall() if group.gr_gid][-1]

reason = why_not()
as_root = pytest.mark.skipif(reason is not None, reason=str(reason))


def asked(daemon: Daemon) -> tuple[int, str]:
    """Asks the daemon; returns the exit code, and what was printed."""
    out, err = io.StringIO(), io.StringIO()
    code = check_running(daemon.socket, out, err)
    assert err.getvalue() == ""
    return code, out.getvalue()


def found(said: str) -> list[str]:
    """Returns the comments after the configuration, each up to its first colon."""
    comments = said.rpartition("\n\n")[2]
    return [line.removeprefix("# ").partition(":")[0] for line in comments.splitlines()]


def differing(daemon: Daemon) -> list[Difference]:
    with daemon.client() as client:
        return list(client.configuration().differences)


def edit(daemon: Daemon, text: str) -> None:
    (daemon.folder / "cucmd.toml").write_text(text)


def test_what_it_prints_is_the_configuration_that_runs(daemon: Daemon, tmp_path: Path) -> None:
    code, said = asked(daemon)
    assert (code, found(said)) == (0, ["nothing differs"])
    (tmp_path / "said.toml").write_text(said)
    ours = load(tmp_path / "said.toml", {})
    assert ours.daemon.socket == daemon.socket  # of its command line: the file does not name it
    assert ours.receiver == load(daemon.folder / "cucmd.toml", {}).receiver


def test_what_is_in_the_file_differs_until_it_is_brought_in(daemon: Daemon) -> None:
    now = CONFIG.replace("free_space_bytes = 0", "free_space_bytes = 5\njobs = 3")
    edit(daemon, f'{now}[clusters.berlin]\npublisher = "10.0.0.1"\n')
    at_start = Difference("limits.free_space_bytes", "restart", "0", "5")
    berlin = Difference("clusters.berlin", "reload", None, '{publisher = "10.0.0.1"}')
    assert differing(daemon) == [Difference("limits.jobs", "reload", "16", "3"), at_start, berlin]
    code, said = asked(daemon)
    *names, restart = found(said)
    assert (code, names) == (1, ["limits.jobs", "limits.free_space_bytes", "clusters.berlin"])
    assert "no job" in restart
    assert "jobs = 16\n" in said

    with daemon.client() as client:
        client.reload()
    assert differing(daemon) == [at_start]
    code, said = asked(daemon)
    assert code == 1
    assert "jobs = 3\n" in said
    assert "free_space_bytes = 0\n" in said  # as it runs, and not as the reload has read it

    edit(daemon, CONFIG)
    left = [(one.name, one.needs) for one in differing(daemon)]
    assert left == [("limits.jobs", "reload"), ("clusters.berlin", "reload")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{CONFIG}[clust", id="half-written"),
        pytest.param(f"{CONFIG}jbos = 3\n", id="unknown-key", marks=pytest.mark.long),
        pytest.param(None, id="gone", marks=pytest.mark.long),
    ],
)
def test_a_file_that_cannot_be_used_now_is_told_with_what_runs(
    daemon: Daemon, text: str | None
) -> None:
    edit(daemon, text) if text else (daemon.folder / "cucmd.toml").unlink()
    code, said = asked(daemon)
    (why,) = found(said)
    assert (code, "refused" in why) == (78, True)
    assert "free_space_bytes = 0\n" in said
    edit(daemon, CONFIG)
    assert asked(daemon)[0] == 0


@pytest.mark.long
def test_a_credential_that_came_into_the_configured_folder_needs_neither(
    tmp_path: Path, make_lab: MakeLab
) -> None:
    lab = make_lab(1, "--files", "1")
    folder = tmp_path / "given"
    config = CONFIG + f'[credentials]\ndirectory = "{folder}"\n'
    folder.mkdir(mode=0o700)
    with running_daemon(tmp_path / "cucmd", config) as daemon, daemon.client() as client:
        assert client.configuration().credentials == ()
        named_credential(folder, "lab", lab.username, lab.password)
        code, said = asked(daemon)
        assert (code, found(said)) == (0, ["nothing differs"])
        assert "# credentials: 'lab'\n" in said
        assert lab.password not in said
        login = Login(credential="lab")
        job = client.start(lab.nodes, login=login, collection=Collection(paths=(SDL,)))
        assert client.wait(job.job_id).status == "succeeded"


def test_a_credential_of_systemd_that_came_or_changed_later_needs_a_restart(
    tmp_path: Path, make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`given` is what systemd copied at the start, `store` what it would copy now."""
    given, store = tmp_path / "given", tmp_path / "store"
    monkeypatch.setattr(sys.modules[check.__module__], "STORES", (str(store),))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for name in ("cucmd.same", "cucmd.changed", "cucmd.gone", "of-unit"):
        named_credential(given, name, "admin", "platform-secret-1")
    for name in ("cucmd.same", "cucmd.changed", "other"):
        named_credential(store, name, "admin", "platform-secret-1")
    lab = make_lab(1, "--fault", "hang:command")
    environ = {"CREDENTIALS_DIRECTORY": str(given)}
    with running_daemon(tmp_path / "cucmd", environ=environ) as daemon, daemon.client() as client:
        (store / "cucmd.changed.username").write_text("another")
        named_credential(store, "cucmd.new", "admin", "platform-secret-2")
        job = start(client, lab)  # its password would be gone
        code, said = asked(daemon)
        changed, gone, new, restart = found(said)
        assert code == 1
        assert changed == "credential 'cucmd.changed'"
        assert gone == "credential 'cucmd.gone'"
        assert new == "credential 'cucmd.new'"
        assert re.findall(r"\d+", restart) == ["1", "1"]
        assert "platform-secret" not in said
        client.cancel(job.job_id)
        client.wait(job.job_id)


@pytest.mark.long
def test_a_credential_that_the_file_names_and_nobody_has_is_told_before_the_reload(
    tmp_path: Path,
) -> None:
    given = tmp_path / "given"
    given.mkdir(mode=0o700)
    environ = {"CREDENTIALS_DIRECTORY": str(given)}
    with running_daemon(tmp_path / "cucmd", environ=environ) as daemon, daemon.client() as client:
        edit(daemon, CONFIG + "[clusters.lab]\nnodes = ['10.0.0.1']\ncredential = 'lab'\n")
        described = client.configuration()
        assert [one.name for one in described.differences] == ["clusters.lab"]
        assert (described.refused or "").startswith("clusters.lab.credential: ")
        assert " 0 jobs" in (described.refused or "")
        assert asked(daemon)[0] == 78


def test_without_a_daemon_it_says_so(capsys: pytest.CaptureFixture) -> None:
    with short_path() as path:
        assert main(["check", "--running", "--socket", str(path)]) == 69
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert str(path) in err


def check_as(daemon: Daemon, groups: list[int]) -> subprocess.CompletedProcess:
    command = [readable_python().program, "-m", "cucmd", "check", "--running"]
    return as_user(SOMEBODY, [*command, "--socket", str(daemon.socket)], groups)


@as_root
def test_who_may_not_reload_may_not_ask_either(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(f'[access]\noperate_group = ""\nview_group = "{VIEW.gr_name}"\n')
    allow_all_to_connect(daemon)
    for groups in ([], [VIEW.gr_gid]):
        done = check_as(daemon, groups)
        assert (done.returncode, done.stderr.count("\n")) == (77, 1), done.stderr
        assert "free_space" not in done.stdout


@pytest.mark.long
@as_root
def test_who_may_operate_is_told_what_only_root_can_compare(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir(mode=0o700)
    config = f'{CONFIG}[access]\noperate_group = "{VIEW.gr_name}"\n'
    environ = {"CREDENTIALS_DIRECTORY": str(given)}
    with running_daemon(tmp_path / "cucmd", config, environ) as daemon:
        allow_all_to_connect(daemon)
        done = check_as(daemon, [VIEW.gr_gid])
        assert done.returncode == 0, done.stderr
        assert found(done.stdout) == ["not compared", "nothing differs"]
