"""A watch outlives a restart of the daemon: as lines, as JSON, silent, and on a terminal."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

import cucmctl
from cucmctl import Client
from cucmctl.client import reconnect

pytestmark = pytest.mark.long


class Told:
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
    """The daemon goes away while the job runs, twice; then the job ends."""

    def _restarted(end="succeeded"):
        running = (state(canned, job("running")), None)
        canned.on_each(
            "Watch", running, (None,), running, (state(canned, job(end), continues=False),)
        )

    return _restarted


COMMANDS = ["watch 3f2a", "wait 3f2a", "START --wait", "START --watch", "RETRY --watch"]


@pytest.mark.parametrize(("end", "code"), [("succeeded", 0), ("partial", 3)])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_exit_code_is_that_of_the_job(canned, ctl, job, restarted, command, end, code):
    canned.on("Status", canned.reply({"job": job("failed", resumable=True)}))
    for method in ("Start", "Retry"):
        canned.on(method, canned.reply({"job": job("running")}))
    restarted(end)
    command = command.replace("START", "start a --path x --credential c")
    done = ctl(*command.replace("RETRY", "retry 3f2a").split())
    assert done.returncode == code
    said = [line for line in done.stderr.splitlines() if line.startswith("cucmctl: ")]
    assert ["went away" in line for line in said] == [True, False, True, False]
    asked = [parameters["job_id"] for method, parameters in canned.calls if method == "Watch"]
    # by its whole id: the beginning of it may fit another job by then
    assert asked[1:] == ["3f2a00112233"] * 3


def test_json_is_each_reply_as_it_came(ctl, restarted):
    restarted()
    lines = [json.loads(line) for line in ctl("watch", "3f2a", "--json").stdout.splitlines()]
    assert [line["job"]["status"] for line in lines] == ["running", "running", "succeeded"]


def test_what_did_not_change_meanwhile_has_no_second_line(ctl, restarted):
    restarted()
    assert ctl("watch", "3f2a").stdout.count("ccm-pub: running") == 1


def test_the_end_of_the_wait_is_exit_69(canned, ctl, job):
    canned.on_each("Watch", (state(canned, job("running")), None), (None,))
    done = ctl("watch", "3f2a", "--reconnect", "0.5")
    assert done.returncode == 69
    assert "0.5 s" in done.stderr.splitlines()[-1]


@pytest.mark.long
def test_a_daemon_that_accepts_and_says_nothing_is_not_back(canned, job):
    """It is so while systemd holds the socket, and the service does not start."""
    silence = threading.Event()
    canned.on_each("Watch", (state(canned, job("running")), None), (silence,))
    told = Told()
    with Client(canned.path) as client, pytest.raises(cucmctl.DaemonUnavailable):
        list(reconnect.watch(client, "3f2a", told, reconnect=0.5))
    assert told.said == ["away"]


@pytest.mark.long
def test_a_daemon_that_still_stops_is_not_back(canned, job):
    stops = (canned.error("ShuttingDown"),)
    end = (state(canned, job(), continues=False),)
    canned.on_each("Watch", (state(canned, job("running")), None), stops, end)
    told = Told()
    with Client(canned.path) as client:
        changes = list(reconnect.watch(client, "3f2a", told))
    assert [change.job.status for change in changes] == ["running", "succeeded"]
    assert told.said == ["away", "back"]


def test_a_job_that_is_gone_after_the_restart_is_an_error(canned, ctl, job):
    gone = canned.error("JobNotFound", job_id="3f2a00112233")
    canned.on_each("Watch", (state(canned, job("running")), None), (gone,))
    assert ctl("wait", "3f2a").returncode == 5


def test_the_wait_of_a_program_outlives_a_restart(canned, job, restarted):
    restarted("partial")
    with Client(canned.path) as client:
        assert client.wait("3f2a").status == "partial"


def test_a_program_need_not_wait_for_a_restart(canned, job, restarted):
    restarted()
    with Client(canned.path) as client, pytest.raises(cucmctl.DaemonUnavailable):
        client.wait("3f2a", reconnect=0)


def test_a_daemon_that_was_never_there_is_not_waited_for(ctl, tmp_path):
    begun = time.monotonic()
    done = ctl("wait", "3f2a", "--socket", str(tmp_path / "none"))
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert time.monotonic() - begun < reconnect.DEFAULT / 2


def test_a_daemon_that_ends_just_after_the_start_is_waited_for(canned, ctl, job):
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.on_each("Watch", (None,), (state(canned, job("failed"), continues=False),))
    assert ctl("start", "a", "--path", "x", "--credential", "c", "--wait").returncode == 1


@pytest.mark.long
def test_the_timeout_of_a_wait_goes_on_while_the_daemon_is_away(canned, ctl, job):
    canned.on_each("Watch", (state(canned, job("running")), None), (None,))
    assert ctl("wait", "3f2a", "--timeout", "1").returncode == 6


@pytest.mark.long
def test_a_watch_of_all_jobs_comes_back(canned, ctl, job, summary):
    first = canned.reply({"sequence": 0, "missed": 0, "jobs": [summary("running")]}, continues=True)
    later = canned.reply({"sequence": 0, "missed": 0, "jobs": [summary()]}, continues=True)
    canned.on_each("Watch", (first, None), (later, canned.error("InternalError")))
    done = ctl("watch")
    assert done.returncode == 70
    assert [line.split(": ")[1].split(",")[0] for line in done.stdout.splitlines()] == [
        "running",
        "succeeded",
    ]


@pytest.mark.parametrize("seconds", ["-1", "x", "nan", ""])
def test_what_is_no_time_to_wait_is_refused(ctl, canned, seconds):
    assert ctl("wait", "3f2a", f"--reconnect={seconds}").returncode == 2
    assert canned.calls == []


@pytest.mark.long
def test_ctrl_c_while_it_is_away_leaves_the_job(canned, environ, job):
    canned.on_each("Watch", (state(canned, job("running")), None), (None,))
    command = [sys.executable, "-m", "cucmctl", "--socket", str(canned.path), "wait", "3f2a"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert "went away" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        stderr = process.communicate()[1]
    assert process.returncode == 130
    assert stderr.endswith("cucmctl cancel 3f2a00112233\n")
    assert "Traceback" not in stderr


# In the live view


@pytest.fixture
def away(canned, job):
    """The daemon is away until this is set; then the job has ended."""
    back = threading.Event()
    end = state(canned, job("partial"), continues=False)
    canned.on_each("Watch", (state(canned, job("running")), None), (back, end))
    return back


@pytest.mark.long
@pytest.mark.parametrize("columns", [80, 200])
def test_the_live_view_says_so_and_goes_on(terminal, away, columns):
    screen = terminal("watch", "3f2a", columns=columns)
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


@pytest.mark.long
def test_ctrl_c_in_the_live_view_while_it_is_away(terminal, away):
    screen = terminal("watch", "3f2a")
    screen.until("the daemon went away")
    screen.type("\x03\x03")
    assert screen.ended() == 130
    assert screen.alternate is None
    assert screen.settings == screen.before
    assert screen.screen.splitlines()[-1].endswith("cucmctl cancel 3f2a00112233")


@pytest.mark.long
def test_the_live_view_ends_when_the_wait_does(canned, terminal, job):
    canned.on_each("Watch", (state(canned, job("running")), None), (None,))
    screen = terminal("watch", "3f2a", "--reconnect", "0.5")
    assert screen.ended() == 69
    assert screen.alternate is None
    assert "went away" in screen.screen
