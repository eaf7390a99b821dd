"""Tests what each user may do. The clients run as other users, whom the kernel identifies."""

import grp
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL
from rig.lab import Lab, running_lab
from rig.others import allow_all_to_connect, ctl_as, folder_of, needs_root
from rig.quiet import wait_until
from rig.readable_python import readable_python

pytestmark = needs_root

# Users without an entry in the user database, and two groups that exist.
SOMEBODY, ANOTHER = 61001, 61002
GROUPS = [group for group in grp.getgrall() if group.gr_gid][:2]
OPERATE, VIEW = GROUPS[0], GROUPS[-1]
RULES = f'[access]\noperate_group = "{OPERATE.gr_name}"\nview_group = "{VIEW.gr_name}"\n'

UNKNOWN = ("status", "00000000")  # no such job: exit 5 for everyone who may look
OPERATIONS = [("cancel", "00000000"), ("hostkeys", "forget", "10.0.0.1")]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    limits = "connections_per_uid = 30\nwatchers_per_uid = 2\n"
    folder = tmp_path_factory.mktemp("access") / "cucmd"
    quick = "[timeouts]\nconnect = 8\n"  # a call goes on after its client has gone
    with running_daemon(folder, CONFIG + limits + RULES + quick) as daemon:
        allow_all_to_connect(daemon)
        yield daemon


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(1, "--files", "1", "--size", "1000") as lab:
        yield lab


def start_as(
    daemon: Daemon, lab: Lab, uid: int, node: str = "", **groups
) -> subprocess.CompletedProcess:
    """Starts a job as a user, with the password in a file of that user."""
    secret = daemon.socket.parent / f"secret-{uid}"
    secret.touch(0o600)
    secret.write_text(f"{lab.password}\n")
    os.chown(secret, uid, -1)
    login = ("--user", lab.username, "--password-file", str(secret))
    arguments = ("start", node or lab.nodes[0], *login, "--path", SDL, "--last", "2h", "--wait")
    return ctl_as(daemon, uid, *arguments, **groups)


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param({"gid": OPERATE.gr_gid}, id="primary-group", marks=pytest.mark.long),
        pytest.param(
            {"groups": [VIEW.gr_gid, OPERATE.gr_gid]},
            id="supplementary-group",
            marks=pytest.mark.long,
        ),
    ],
)
def test_operators_may_do_everything(daemon: Daemon, lab: Lab, groups: dict) -> None:
    assert start_as(daemon, lab, SOMEBODY, **groups).returncode == 0
    assert ctl_as(daemon, SOMEBODY, "list", **groups).returncode == 0
    for operation in OPERATIONS:
        done = ctl_as(daemon, SOMEBODY, *operation, **groups)
        assert done.returncode == 5, done.stderr


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param({"gid": VIEW.gr_gid}, id="primary-group", marks=pytest.mark.long),
        pytest.param({"groups": [VIEW.gr_gid]}, id="supplementary-group"),
    ],
)
def test_viewers_may_only_look(daemon: Daemon, lab: Lab, groups: dict) -> None:
    job = start_as(daemon, lab, 0).stdout.strip()
    for verb in (("list",), ("status", job), ("watch", job), ("wait", job), ("metrics",)):
        done = ctl_as(daemon, SOMEBODY, *verb, **groups)
        assert done.returncode == 0, (verb, done.stderr)
    assert "cucmctl export" in ctl_as(daemon, 0, "wait", job).stdout
    assert "cucmctl" not in ctl_as(daemon, SOMEBODY, "wait", job, **groups).stdout
    before = len(list((daemon.state / "jobs").iterdir()))
    refused = [start_as(daemon, lab, SOMEBODY, **groups)]
    refused += [ctl_as(daemon, SOMEBODY, *operation, **groups) for operation in OPERATIONS]
    for done in refused:
        assert (done.returncode, done.stdout) == (77, "")
        assert f"the group {OPERATE.gr_name!r} may do everything" in done.stderr
        assert repr(VIEW.gr_name) in done.stderr
        assert "log in again" in done.stderr
    assert len(list((daemon.state / "jobs").iterdir())) == before


def test_viewers_get_no_commands_of_operators(daemon: Daemon, lab: Lab) -> None:
    job = start_as(daemon, lab, 0, node="127.0.0.1:9").stdout.strip()
    for verb in (("status", job), ("wait", job), ("watch", job)):
        assert "\n  hint: " in ctl_as(daemon, 0, *verb).stdout
        done = ctl_as(daemon, SOMEBODY, *verb, groups=[VIEW.gr_gid])
        assert "\n  hint for an operator: " in done.stdout
        assert "cucmctl retry" not in done.stdout


def test_viewers_may_not_search(daemon: Daemon, lab: Lab) -> None:
    """In a daemon whose viewers may not read files."""
    job = start_as(daemon, lab, 0).stdout.strip()
    done = ctl_as(daemon, SOMEBODY, "find", job, "x", groups=[VIEW.gr_gid])
    assert (done.returncode, done.stdout) == (77, "")


def test_others_exit_77(daemon: Daemon, lab: Lab) -> None:
    refused = [ctl_as(daemon, SOMEBODY, *verb) for verb in (("list",), UNKNOWN, *OPERATIONS)]
    for done in (*refused, start_as(daemon, lab, SOMEBODY)):
        assert (done.returncode, done.stdout) == (77, "")


@pytest.mark.long
def test_closed_socket_exits_77(tmp_path: Path) -> None:
    with running_daemon(tmp_path / "cucmd", CONFIG + RULES) as daemon:
        daemon.socket.parent.chmod(0o755)
        assert daemon.socket.stat().st_gid == OPERATE.gr_gid
        done = ctl_as(daemon, SOMEBODY, "list")
        assert (done.returncode, done.stdout) == (77, "")
        assert str(daemon.socket) in done.stderr
        assert ctl_as(daemon, SOMEBODY, "list", groups=[OPERATE.gr_gid]).returncode == 0


@pytest.mark.long
def test_own_user_may_do_everything(lab: Lab) -> None:
    with (
        folder_of(SOMEBODY) as folder,
        running_daemon(folder, CONFIG + RULES, user=SOMEBODY) as daemon,
    ):
        allow_all_to_connect(daemon)
        done = start_as(daemon, lab, SOMEBODY)
        assert done.returncode == 0, done.stderr
        assert ctl_as(daemon, ANOTHER, "list").returncode == 77
        assert ctl_as(daemon, 0, "list").returncode == 0


@pytest.mark.long
def test_calls_are_logged_with_uid(daemon: Daemon, lab: Lab) -> None:
    """A call that only reads is not logged, since a script may call it each second."""
    for look in (("list",), ("status",)):
        assert ctl_as(daemon, SOMEBODY, *look, groups=[OPERATE.gr_gid]).returncode == 0
    start_as(daemon, lab, SOMEBODY, groups=[OPERATE.gr_gid])
    ctl_as(daemon, SOMEBODY, "cancel", "00000000", groups=[OPERATE.gr_gid])
    start_as(daemon, lab, ANOTHER)
    log = daemon.log.read_text()
    for logged in (
        rf"job \w{{12}}: collect on 1 node by uid {SOMEBODY}, pid \d+",
        rf"Start by uid {SOMEBODY}, pid \d+",
        rf"Cancel of job '00000000' by uid {SOMEBODY}, pid \d+",
        rf"refused Credentials to uid {ANOTHER}, pid \d+",
    ):
        assert re.search(logged, log), logged
    assert "List by" not in log


# One user takes all connections that a user may have. Other users must not notice.

HOLD = """
import socket, sys
peers = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[2]))]
for peer in peers:
    peer.connect(sys.argv[1])
    peer.sendall(sys.argv[3].encode() + b"\\0")
    if len(sys.argv) == 4:
        peer.recv(1)
print("holding", flush=True)
sys.stdin.read()
"""
LIST = '{"method": "io.cucmd.Jobs.List", "parameters": {}}'


@contextmanager
def holding(
    daemon: Daemon, uid: int, count: int, call: str, *, answered: bool = True
) -> Iterator[None]:
    """Runs a process of a user that makes a call on each of `count` connections and keeps them."""
    python = readable_python()
    command = [python.program, "-c", HOLD, str(daemon.socket), str(count), call]
    command += [] if answered else ["unanswered"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=uid,
        group=uid,
        extra_groups=[OPERATE.gr_gid],
        cwd="/",
        env=python.environ,
    ) as holder:
        assert holder.stdout.readline() == "holding\n"
        yield
        holder.stdin.close()


MEMBER = {"groups": [OPERATE.gr_gid]}


def assert_only_somebody_is_refused(daemon: Daemon, limit: str) -> None:
    refused = ctl_as(daemon, SOMEBODY, "list", **MEMBER)
    assert refused.returncode == 75
    assert limit in refused.stderr
    assert ctl_as(daemon, ANOTHER, "list", **MEMBER).returncode == 0
    assert ctl_as(daemon, 0, "list").returncode == 0


@pytest.mark.long
def test_connections_are_limited_per_user(daemon: Daemon) -> None:
    with holding(daemon, SOMEBODY, 30, LIST):
        assert_only_somebody_is_refused(daemon, "connections_per_uid")
    wait_until(lambda: ctl_as(daemon, SOMEBODY, "list", **MEMBER).returncode == 0)
