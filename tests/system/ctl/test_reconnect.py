"""Watches and waits outlive a restart of the daemon."""

import threading

import pytest

import cucmctl
from cucmctl import Client
from cucmctl.client import reconnect


class Told:
    """A listener that notes what it hears."""

    def __init__(self):
        self.said = []

    def went_away(self, why, seconds):
        self.said.append("away")

    def came_back(self):
        self.said.append("back")


def state(canned, job, *, continues=True):
    return canned.reply({"sequence": 0, "missed": 0, "job": job}, continues=continues)


@pytest.fixture
def restarted(canned, job):
    """The daemon goes away twice while the job runs; then the job ends."""

    def _restarted(end="succeeded"):
        running = (state(canned, job("running")), None)
        canned.on_each(
            "Watch", running, (None,), running, (state(canned, job(end), continues=False),)
        )

    return _restarted


COMMANDS = ["watch 3f2a", "wait 3f2a", "START --wait", "START --watch", "RETRY --watch"]


@pytest.mark.parametrize("command", COMMANDS)
def test_exit_code_survives_restarts(canned, ctl, job, restarted, command):
    canned.on("Status", canned.reply({"job": job("failed", resumable=True)}))
    for method in ("Start", "Retry"):
        canned.on(method, canned.reply({"job": job("running")}))
    restarted("partial")
    command = command.replace("START", "start a --path x --credential c")
    done = ctl(*command.replace("RETRY", "retry 3f2a").split())
    assert done.returncode == 3
    said = [line for line in done.stderr.splitlines() if line.startswith("cucmctl: ")]
    assert ["went away" in line for line in said] == [True, False, True, False]
    asked = [parameters["job_id"] for method, parameters in canned.calls if method == "Watch"]
    # The whole id, because a prefix may fit another job by then.
    assert asked[1:] == ["3f2a00112233"] * 3


def test_daemon_not_back_is_exit_69(canned, ctl, job):
    canned.on_each("Watch", (state(canned, job("running")), None), (None,))
    done = ctl("watch", "3f2a", "--reconnect", "0.5")
    assert done.returncode == 69
    assert "0.5 s" in done.stderr.splitlines()[-1]


def test_silent_daemon_is_not_back(canned, job):
    """systemd accepts connections even if the service does not start."""
    silence = threading.Event()
    canned.on_each("Watch", (state(canned, job("running")), None), (silence,))
    told = Told()
    with Client(canned.path) as client, pytest.raises(cucmctl.DaemonUnavailable):
        list(reconnect.watch(client, "3f2a", told, reconnect=0.5))
    assert told.said == ["away"]


def test_client_wait_outlives_a_restart(canned, job, restarted):
    restarted("partial")
    with Client(canned.path) as client:
        assert client.wait("3f2a").status == "partial"


@pytest.fixture
def away(canned, job):
    """The daemon is away until this is set; then the job has ended."""
    back = threading.Event()
    end = state(canned, job("partial"), continues=False)
    canned.on_each("Watch", (state(canned, job("running")), None), (back, end))
    return back


@pytest.mark.long
def test_live_view_outlives_a_restart(terminal, away):
    screen = terminal("watch", "3f2a")
    screen.until("the daemon went away")
    assert "ccm-pub" in screen.screen, "the last state stays in view"
    assert screen.alternate is not None
    away.set()
    assert screen.ended() == 3
    assert screen.alternate is None
    assert screen.settings == screen.before
    assert screen.unknown == []
    assert "went away" not in screen.screen
    assert "job 3f2a00112233: partial" in screen.screen
