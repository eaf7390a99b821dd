"""Tests a booted service that cannot start or reload: who is told, and what systemd does next.

All tests share one container. Each test begins with the socket up and the service down.
"""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cucmctl import DaemonUnavailable
from rig.daemon import CONFIG
from rig.debian import CannotRun, booted
from rig.installed import Host, install
from rig.quiet import wait_until

# The first test installs a Debian, unless an earlier run has done so.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

FILE = "/etc/cucmd/cucmd.toml"
SYNTAX_ERROR = f"{CONFIG}[timeouts\n"
# SD_MESSAGE_UNIT_STARTING of sd-messages.h: a record for each start of a unit.
STARTING = "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"
SOON = 2.0  # seconds


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    wheels = tmp_path_factory.mktemp("wheels")
    try:
        with booted({wheels: "/srv/wheels"}) as debian:
            yield install(debian, wheels)
    except CannotRun as reason:
        pytest.skip(str(reason))


@pytest.fixture
def host(installed: Host) -> Iterator[Host]:
    installed.write(FILE, CONFIG)
    installed.systemctl("start", "cucmd.socket")
    yield installed
    installed.systemctl("stop", "cucmd.service")
    installed.systemctl("reset-failed")
    assert "Traceback" not in installed.journal()


def starts(host: Host) -> int:
    host.debian.must("journalctl", "--sync")
    found = host.debian.run("journalctl", "--quiet", "-o", "cat", STARTING, "UNIT=cucmd.service")
    return len(found.stdout.splitlines())


def lifetime(host: Host) -> float:
    """Returns the seconds that the last process of the daemon lived."""
    began, ended = (
        int(host.show(f"ExecMain{which}TimestampMonotonic")) for which in ("Start", "Exit")
    )
    return (ended - began) / 1_000_000


def states(host: Host) -> tuple[str, str]:
    return host.show("ActiveState"), host.show("ActiveState", "cucmd.socket")


def timed(host: Host, user: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Returns the seconds of a call, less those of a command that needs no daemon."""
    began = time.monotonic()
    host.ctl(user, "--version")
    between = time.monotonic()
    done = host.ctl(user, "list")
    return (time.monotonic() - between) - (between - began), done


def assert_told_of_the_file(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout) == (69, "")
    assert "the service cucmd does not start" in done.stderr
    assert FILE in done.stderr
    assert "systemctl status cucmd" in done.stderr
    assert done.stderr.count("\n") == 1


def test_wrong_configuration_is_started_once(host: Host) -> None:
    host.write(FILE, SYNTAX_ERROR)
    before = starts(host)
    took, first = timed(host, "olga")
    print(f"told after {took:.1f} s; the daemon lived for {lifetime(host):.1f} s")
    assert took - lifetime(host) < SOON
    assert_told_of_the_file(first)
    assert states(host) == ("failed", "inactive")  # nothing could start it any more
    for user in ("olga", "victor"):
        took, later = timed(host, user)
        assert took < SOON
        assert_told_of_the_file(later)
    assert starts(host) == before + 1


def test_waiting_clients_cause_one_start(host: Host) -> None:
    host.write(FILE, SYNTAX_ERROR)
    before, together = starts(host), threading.Barrier(8)

    def call(_: int) -> str:
        with host.client() as client:  # from outside, since systemd does not run there
            together.wait()
            with pytest.raises(DaemonUnavailable) as raised:
                client.list()
        return str(raised.value)

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(call, range(8)))) == 8
    wait_until(lambda: states(host) == ("failed", "inactive"))
    assert starts(host) == before + 1


def test_corrected_configuration_starts_at_once(host: Host) -> None:
    host.write(FILE, SYNTAX_ERROR)
    for _ in range(7):  # more often than any default limit of starts allows
        refused = host.debian.run("systemctl", "restart", "cucmd")
        assert refused.returncode != 0
        assert "systemctl status cucmd" in refused.stderr
    host.write(FILE, CONFIG)
    host.systemctl("restart", "cucmd")
    assert states(host) == ("active", "active")
    assert host.ctl("olga", "list").returncode == 0


def test_failed_start_sets_status(host: Host) -> None:
    host.write(FILE, SYNTAX_ERROR)
    assert host.debian.run("systemctl", "start", "cucmd").returncode != 0
    assert host.show("StatusText").startswith(f"{FILE}:")
    assert (host.show("Result"), host.show("ExecMainStatus")) == ("exit-code", "78")


def test_wrong_option_is_started_once(host: Host) -> None:
    drop_in = "/run/systemd/system/cucmd.service.d/option.conf"
    host.write(drop_in, "[Service]\nExecStart=\nExecStart=/opt/cucmd/bin/cucmd serve --confg x\n")
    host.systemctl("daemon-reload")
    before = starts(host)
    done = host.ctl("olga", "list")
    host.debian.must("rm", drop_in)
    host.systemctl("daemon-reload")
    assert done.returncode == 69
    assert "systemctl status cucmd" in done.stderr
    assert states(host) == ("failed", "inactive")
    assert starts(host) == before + 1


def test_taken_port_is_retried_more_slowly(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        host.write(FILE, CONFIG.replace("127.0.0.1:0", listen))
        done = host.ctl("olga", "list")
        assert done.returncode == 69
        assert "will be started again" in done.stderr
        assert f"receiver.listen = '{listen}'" in done.stderr
        wait_until(lambda: int(host.show("NRestarts")) >= 3)
        assert host.show("ActiveState", "cucmd.socket") == "active"
    wait_until(lambda: host.show("ActiveState") == "active")  # by itself
    assert host.ctl("olga", "list").returncode == 0


PROFILE = '[profiles.before]\npaths = ["cm/trace/ccm/sdl"]\n'


@pytest.mark.parametrize(
    ("text", "mode"), [(SYNTAX_ERROR, 0o644), (CONFIG, 0o000), ("[receiver]\nport = 1\n", 0o644)]
)
def test_failed_reload_changes_nothing(host: Host, text: str, mode: int) -> None:
    host.write(FILE, CONFIG + PROFILE)
    host.systemctl("start", "cucmd")
    pid = host.main_pid()
    host.write(FILE, text, mode)
    refused = host.debian.run("systemctl", "reload", "cucmd")
    assert refused.returncode != 0
    assert f"not reloaded: {FILE}" in host.show("StatusText")
    assert "queued or running" in host.show("StatusText")
    assert f"not reloaded: {FILE}" in host.journal()
    assert (host.show("ActiveState"), host.main_pid()) == ("active", pid)
    assert "before" in host.ctl("olga", "profiles").stdout

    host.write(FILE, CONFIG)
    host.systemctl("reload", "cucmd")
    assert "not reloaded" not in host.show("StatusText")
    assert "before" not in host.ctl("olga", "profiles").stdout
