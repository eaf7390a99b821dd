"""Tests a booted service: the wheel and the units, installed in a Debian that runs systemd.

All tests share one container. Each test begins with the socket up and the service down. The nodes
are a lab on the loopback interface, which the container shares.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.work_request import Collection, Login
from cucmd.protocol.jobs import Job
from rig import reaching_daemon
from rig.daemon import CONFIG
from rig.debian import CannotRun, booted
from rig.inspection import check_files
from rig.installed import Host, install
from rig.jobs import SDL, start, statuses, until
from rig.lab import Lab, running_lab
from rig.pages import ROOT, fenced, indented
from rig.quiet import wait_until

# The first test installs a Debian, unless an earlier run has done so.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

PASSWORD = "Platform-Secret-1"
SLOW = 15_000  # bytes a second: a file of FILE bytes takes some seconds
FILE = 60_000
CREDENTIAL = "cucmd.lab"

# Blocks of the page, in its order.
_MANUAL = ROOT / "daemon/man/cucmd.8.md"
_PAGE = indented(_MANUAL)
(_PEOPLE,) = (block for block in _PAGE if block.startswith("usermod "))
_BACKUP, _RESTORE, _KEEP, _GO_BACK = (
    block for block in _PAGE if block.startswith("systemctl stop ")
)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes the folder that is `/srv/wheels` in the container; it is filled after the boot."""
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs five nodes; the last three are slow."""
    slow = [word for node in (3, 4, 5) for word in ("--fault", f"{node}=trickle@{SLOW}")]
    size = ("--files", "1", "--size", str(FILE))
    with running_lab(5, "--password", PASSWORD, *size, *slow) as lab:
        yield lab


@pytest.fixture(scope="module")
def installed(wheels: Path, lab: Lab) -> Iterator[Host]:
    with ExitStack() as stack:
        try:
            debian = stack.enter_context(booted({wheels: "/srv/wheels"}))
            host = install(debian, wheels)
        except CannotRun as reason:
            pytest.skip(str(reason))
        host.write(f"/etc/credstore/{CREDENTIAL}.username", lab.username, 0o600)
        host.write(f"/etc/credstore/{CREDENTIAL}.password", lab.password, 0o600)
        yield host


@pytest.fixture
def host(installed: Host) -> Iterator[Host]:
    installed.write("/etc/cucmd/cucmd.toml", CONFIG)
    yield installed
    installed.systemctl("stop", "cucmd.service")
    installed.systemctl("reset-failed")
    assert "Traceback" not in installed.journal()
    assert installed.show("ActiveState", "cucmd.socket") == "active"


def start_with_credential(client: Client, nodes: list[str]) -> Job:
    return client.start(
        nodes,
        login=Login(credential=CREDENTIAL),
        work=Collection(paths=(SDL,), last="2h"),
    )


def in_transfer(job: Job) -> bool:
    return all(node.bytes_received > 0 for node in job.nodes)


def test_first_connection_starts_daemon(host: Host) -> None:
    assert host.show("ActiveState") == "inactive"
    done = host.ctl("olga", "list")
    assert done.returncode == 0, done.stderr
    assert host.show("ActiveState") == "active"
    assert host.show("TriggeredBy") == "cucmd.socket"


def test_status_says_number_of_jobs(host: Host, lab: Lab) -> None:
    host.systemctl("start", "cucmd.service")  # returns at READY=1
    assert "listening at /run/cucmd/cucmd.sock" in host.journal()
    wait_until(lambda: host.show("StatusText") == "0 jobs queued or running")
    with host.client() as client:
        job = start_with_credential(client, lab.nodes[2:3])
        wait_until(lambda: host.show("StatusText") == "1 job queued or running")
        client.cancel(job.job_id)


def test_reload_reads_configuration(host: Host, lab: Lab) -> None:
    host.systemctl("start", "cucmd.service")
    pid = host.main_pid()
    asked = ("start", lab.nodes[0], "--profile=traces", f"--credential={CREDENTIAL}", "--wait")
    assert host.ctl("olga", *asked).returncode == 5
    profile = f'[profiles.traces]\npaths = ["{SDL}"]\nlast = "2h"\n'
    host.write("/etc/cucmd/cucmd.toml", CONFIG + profile)
    host.systemctl("reload", "cucmd.service")
    done = host.ctl("olga", *asked)
    assert done.returncode == 0, done.stderr
    assert (host.show("ActiveState"), host.main_pid()) == ("active", pid)


def test_new_credential_needs_restart(host: Host) -> None:
    host.systemctl("start", "cucmd.service")
    late = [f"/etc/credstore/cucmd.late.{kind}" for kind in ("username", "password")]
    try:
        for path in late:
            host.write(path, "Platform-Secret-2", 0o600)
        named = '[clusters.late]\nnodes = ["10.0.0.1"]\ncredential = "cucmd.late"\n'
        host.write("/etc/cucmd/cucmd.toml", CONFIG + named)
        assert host.debian.run("systemctl", "reload", "cucmd.service").returncode != 0
        assert "interrupts 0 jobs" in host.show("StatusText")
        host.systemctl("restart", "cucmd.service")
        host.systemctl("reload", "cucmd.service")
    finally:
        host.debian.run("rm", *late)


def test_watchdog_restarts_stopped_daemon(host: Host) -> None:
    host.write("/run/systemd/system/cucmd.service.d/short.conf", "[Service]\nWatchdogSec=3s\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "cucmd.service")
    pid, began = host.main_pid(), last_fed(host)
    wait_until(
        lambda: last_fed(host) > began + 4
    )  # it lives longer than 3 s, since it feeds the watchdog
    assert host.main_pid() == pid
    host.signal(signal.SIGSTOP)
    wait_until(lambda: host.main_pid() not in (0, pid) and host.show("SubState") == "running")
    assert int(host.show("NRestarts")) == 1
    journal = host.journal()
    assert "Failed with result 'watchdog'" in journal
    assert "code=killed, status=6/ABRT" in journal  # and not code=dumped: no core with passwords
    assert host.ctl("olga", "list").returncode == 0
    host.debian.must("rm", "-r", "/run/systemd/system/cucmd.service.d")
    host.systemctl("daemon-reload")


def last_fed(host: Host) -> float:
    """Returns the time of the last sign of life to the watchdog, in seconds of the container's
    clock.
    """
    return int(host.show("WatchdogTimestampMonotonic")) / 1_000_000


def test_stop_during_transfer_is_orderly(host: Host, lab: Lab) -> None:
    with host.client() as client:
        typed = start(client, lab, lab.nodes[2:3])
        named = start_with_credential(client, lab.nodes[2:4])
        for job in (typed, named):
            until(client, job.job_id, in_transfer)
    before = lab.report()
    began = time.monotonic()
    host.systemctl("stop", "cucmd.service")
    assert time.monotonic() - began < typed.timeouts.grace + 1
    assert (host.show("Result"), host.show("ExecMainStatus")) == ("success", "0")
    after = lab.report()
    assert (after["connections_now"], after["pushes_now"]) == (0, 0)
    assert after["closed_cleanly"] - before["closed_cleanly"] == 3
    assert after["dropped"] == before["dropped"]

    host.systemctl("start", "cucmd.service")
    with host.client() as client:
        assert codes(client.status(typed.job_id)) == ["interrupted"]
        resumed = client.wait(named.job_id, timeout=60)
    assert statuses(resumed) == ["succeeded", "succeeded"]
    assert [node.attempt for node in resumed.nodes] == [2, 2]


def codes(job: Job) -> list[str | None]:
    return [node.failure and node.failure.code for node in job.nodes]


def test_killed_daemon_resumes_jobs(host: Host, lab: Lab) -> None:
    with host.client() as client:
        named = start_with_credential(client, [lab.nodes[0], lab.nodes[2]])
        until(client, named.job_id, in_transfer)
        wait_until(lambda: statuses(client.status(named.job_id))[0] == "succeeded")
    pid = host.main_pid()
    host.signal(signal.SIGKILL)
    with host.client() as client:  # waits at the socket, which still exists
        resumed = client.wait(named.job_id, timeout=60)
    assert host.main_pid() not in (0, pid)
    assert int(host.show("NRestarts")) == 1
    assert statuses(resumed) == ["succeeded", "succeeded"]
    assert [node.attempt for node in resumed.nodes] == [1, 2]
    check_files(host.debian.path(resumed.directory))


def test_groups_decide_rights(host: Host, lab: Lab) -> None:
    job = ("start", lab.nodes[0], "--path", SDL, "--last=2h", f"--credential={CREDENTIAL}")
    done = host.ctl("olga", *job, "--wait")
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.split()[0]

    assert host.ctl("victor", "status", job_id).returncode == 0
    refused = host.ctl("victor", *job)
    assert (refused.returncode, refused.stdout) == (77, "")
    assert f"refused Credentials to uid {uid_of(host, 'victor')}, pid" in host.journal()

    for command in (("status", job_id), job):
        refused = host.ctl("nina", *command)
        assert (refused.returncode, refused.stdout) == (77, "")
        assert "/run/cucmd/cucmd.sock" in refused.stderr
    with host.client() as client:
        assert [one.job_id for one in client.list(limit=1)] == [job_id]


def test_page_adds_and_removes_people(host: Host) -> None:
    host.debian.must("sh", "-e", "-c", "useradd alice; useradd bob")
    *add, remove = _PEOPLE.splitlines()
    host.debian.must("sh", "-e", "-c", "\n".join(add))
    assert [host.ctl(user, "credentials").returncode for user in ("alice", "bob")] == [0, 77]
    assert host.ctl("bob", "list").returncode == 0
    host.debian.must("sh", "-e", "-c", remove)
    assert host.ctl("bob", "list").returncode == 77


def test_backup_of_page_restores_jobs(host: Host, lab: Lab) -> None:
    with host.client() as client:
        job = client.wait(start(client, lab, lab.nodes[:1]).job_id, timeout=60)
    host.debian.must("sh", "-e", "-c", _BACKUP)
    host.must_ctl("olga", "delete", job.job_id, "--yes")
    assert job.job_id in host.debian.must("sh", "-e", "-c", _RESTORE)
    host.must_ctl("olga", "verify", job.job_id)


def test_page_goes_back_to_old_programs(host: Host) -> None:
    host.debian.must("sh", "-e", "-c", _KEEP)
    host.debian.must("rm", "-r", "/opt/cucmd/lib", "/etc/systemd/system/cucmd.service")
    host.debian.must("sh", "-e", "-c", _GO_BACK)
    assert host.ctl("olga", "list").returncode == 0


def uid_of(host: Host, user: str) -> str:
    return host.debian.must("id", "--user", user).strip()


def test_collection_works_with_hardening(host: Host, lab: Lab) -> None:
    with host.client() as client:
        job = client.wait(start(client, lab).job_id, timeout=60)
    assert set(statuses(job)) == {"succeeded"}
    assert sum(node.bytes_received for node in job.nodes) > 0
    check_files(host.debian.path(job.directory))

    process = host.status_of(host.main_pid())
    assert 61184 <= int(process["Uid"].split()[0]) <= 65519  # a user that exists only while it runs
    assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2")
    assert int(process["CapBnd"], 16) == 0


RECEIVES, READS = "cucmd.receiver.receiving:receive", "cucmd.reading.node_traces:read_traces"
REACHING = "/opt/reaching"
# The same unit with another program.
IN_PLACE = f"""\
[Service]
ExecStart=
ExecStart=/opt/cucmd/bin/python -m reaching_daemon serve
Environment=PYTHONPATH={REACHING}
"""


def test_workers_reach_no_other_files(host: Host, lab: Lab) -> None:
    with host.client() as client:
        other = client.wait(start(client, lab, lab.nodes[:1]).job_id, timeout=60)
    host.systemctl("stop", "cucmd.service")
    state = "/var/lib/cucmd"
    theirs = [f"{state}/known_hosts", f"{state}/cucmd.db", f"{other.directory}/manifest.json"]
    forbidden = [*theirs, "/etc/shadow", "/run/cucmd/cucmd.sock"]
    assert all(host.debian.path(path).exists() for path in forbidden)
    host.write(f"{REACHING}/paths", "\n".join([*forbidden, "/dev/null"]))
    host.write(f"{REACHING}/reaching_daemon.py", Path(reaching_daemon.__file__).read_text())
    host.write("/run/systemd/system/cucmd.service.d/reaching.conf", IN_PLACE)
    try:
        host.systemctl("daemon-reload")
        host.systemctl("start", "cucmd.service")
        with host.client() as client:
            job = client.wait(start(client, lab, lab.nodes[:1]).job_id, timeout=60)
            assert job.status == "succeeded"
            wait_until(lambda: client.status(job.job_id).nodes[0].coverage is not None)
    finally:
        host.debian.must("rm", "-r", "/run/systemd/system/cucmd.service.d")
        host.systemctl("daemon-reload")
    lines = [line.partition("reached ")[2] for line in host.journal().splitlines()]
    said = [line.split() for line in lines if line]
    assert {role for role, *_ in said} >= {RECEIVES, READS}
    refused = {(path, "PermissionError") for path in forbidden}
    assert {(path, what) for _, path, what in said} == refused | {("/dev/null", "done")}


def test_journal_and_state_have_no_password(host: Host, lab: Lab) -> None:
    with host.client() as client:
        typed = client.wait(start(client, lab, lab.nodes[:1]).job_id, timeout=60)
        named = client.wait(start_with_credential(client, lab.nodes[:1]).job_id, timeout=60)
    assert (typed.status, named.status) == ("succeeded", "succeeded")
    process = host.debian.path(f"/proc/{host.main_pid()}")
    assert PASSWORD not in host.journal()
    assert PASSWORD.encode() not in (process / "cmdline").read_bytes()
    assert PASSWORD.encode() not in (process / "environ").read_bytes()
    assert in_state(host, typed.job_id)  # the search finds a text that is there
    assert not in_state(host, PASSWORD)


def in_state(host: Host, text: str) -> bool:
    """Says whether any file below the state directory contains the text. The database is one of
    them.
    """
    search = host.debian.run("grep", "--recursive", "--quiet", "-F", "--", text, "/var/lib/cucmd/")
    assert search.returncode in (0, 1), search.stderr
    return search.returncode == 0


def test_running_unit_exposure(host: Host) -> None:
    host.systemctl("start", "cucmd.service")
    command = ("systemd-analyze", "security", "--no-pager", "--threshold=11", "cucmd.service")
    answer = host.debian.run(*command)
    print(answer.stdout.splitlines()[-1])
    assert answer.returncode == 0, answer.stdout


def test_nightly_units_report_failure(host: Host, lab: Lab) -> None:
    """Nothing listens at the node of the second cluster."""
    clusters = {"good": lab.nodes[0], "bad": "127.0.0.9:9"}
    host.write(
        "/etc/cucmd/cucmd.toml",
        CONFIG
        + f'[profiles.traces]\npaths = ["{SDL}"]\n'
        + "".join(
            f'[clusters.{name}]\nnodes = ["{node}"]\ncredential = "{CREDENTIAL}"\n'
            for name, node in clusters.items()
        ),
    )
    (units,) = (block for block in _PAGE if "cucmd-*@.timer" in block)
    host.debian.must("sh", "-e", "-c", units)
    told = "[Service]\nType=oneshot\nExecStart=/bin/touch /run/told-%i\n"
    host.write("/etc/systemd/system/tell-me@.service", told)
    (on_failure,) = (text for _, text in fenced(_MANUAL) if "OnFailure=" in text)
    host.write("/etc/systemd/system/cucmd-collect@.service.d/told.conf", on_failure)
    host.systemctl("daemon-reload")
    hostile = "why=$(touch /run/by-shell) `touch /run/by-shell`; two  'words"
    for name in clusters:
        text = f"TARGET={name}\nPROFILE=traces\nWINDOW=2h\nLABEL={hostile}\n"
        host.write(f"/etc/cucmd/night/{name}.conf", text)

    host.systemctl("start", "cucmd-collect@good.service", "cucmd-health@good.service")
    assert host.debian.run("systemctl", "start", "cucmd-collect@bad.service").returncode != 0
    assert host.show("ExecMainStatus", "cucmd-collect@bad.service") == "1"
    wait_until(host.debian.path("/run/told-cucmd-collect@bad.service").exists)
    assert not host.debian.path("/run/told-cucmd-collect@good.service").exists()
    assert not host.debian.path("/run/by-shell").exists()
    with host.client() as client:
        jobs = [client.status(job.job_id) for job in client.list(limit=3)]
    assert {job.labels["why"] for job in jobs if job.labels} == {hostile.removeprefix("why=")}
    assert {job.kind: job.status for job in jobs if job.targets == ("good",)} == {
        "collect": "succeeded",
        "health": "succeeded",
    }
    for verb in ("start", "stop"):  # the night may begin while other tests run
        host.systemctl(verb, "cucmd-collect@good.timer", "cucmd-health@good.timer")
