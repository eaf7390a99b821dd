"""`check`: its request, what it prints where, and how it ends."""

import json
import signal
import threading

import msgspec
import pytest

from cucmd.job.check import Checked

SEEN = {
    "reachable": True,
    "host_key": "new",
    "login": True,
    "prompt": True,
    "product": "callmanager",
    "version": "15.0.1.11900-40",
    "zone": "Europe/Berlin",
    "clock_ahead": 3.0,
    "logging_total": 70_000_000_000,
    "logging_free": 7_000_000_000,
    "receiver": "ok",
}
FAILURE = {
    "code": "host_key_changed",
    "message": "the host key of b has changed",
    "retryable": False,
    "hint": "if the node was reinstalled, forget its old key: cucmctl hostkeys forget b",
}


@pytest.fixture
def checking(canned, node, job):
    """The daemon's answers: a check of two nodes, the second of which ends so."""

    def _checking(status="succeeded", second="succeeded", seen=SEEN, **fields):
        begun = job("running", node("a", "running"), node("b", "running"), kind="check")
        canned.on("Start:check", canned.reply({"job": begun, "request_id": "r"}))
        nodes = node("a", "succeeded", checked=SEEN), node("b", second, checked=seen, **fields)
        canned.watch(begun, job(status, *nodes, kind="check"))

    return _checking


def failing(checking):
    seen = {"reachable": True, "host_key": "changed"}
    checking("partial", "failed", seen, error=FAILURE["message"], failure=FAILURE)


def asked(canned):
    (request,) = [parameters for method, parameters in canned.calls if method == "Start:check"]
    return request


def test_every_option_is_a_field_of_the_request(canned, ctl, checking):
    checking()
    done = ctl(
        *("check", "a", "b", "--receiver", "--credential", "lab", "--label", "case=1"),
        *("--try-all", "--accept-nodes", "--concurrency", "2", "--connect-timeout", "1"),
        *("--login-timeout", "2", "--answer-timeout", "3", "--command-timeout", "4"),
        *("--stall-timeout", "5", "--node-timeout", "60", "--job-timeout", "70"),
    )
    assert done.returncode == 0, done.stderr
    request = dict(asked(canned))
    assert request.pop("start_key")
    assert request == {
        "nodes": ["a", "b"],
        "check": {"receiver": True},
        "login": {"credential": "lab"},
        "labels": {"case": "1"},
        "concurrency": 2,
        "try_all": True,
        "accept_nodes": True,
        "timeouts": {
            **{"connect": 1.0, "login": 2.0, "answer": 3.0, "command": 4.0},
            **{"stall": 5.0, "node": 60.0, "job": 70.0},
        },
    }


def test_the_table_is_on_standard_output_and_the_job_is_not(canned, ctl, checking):
    checking()
    done = ctl("check", "a", "b")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["NODE", "a", "b"]
    assert "3f2a00112233" in done.stderr
    assert "receiver" not in asked(canned)
    assert "--receiver" in done.stderr


def test_what_fails_says_what_to_do_about_it(ctl, checking):
    failing(checking)
    done = ctl("check", "a", "b", "--receiver")
    assert done.returncode == 3
    assert "changed" in done.stdout.splitlines()[2].split()
    assert f"hint: {FAILURE['hint']}" in done.stdout
    assert "--receiver" not in done.stderr


@pytest.mark.parametrize(
    ("status", "second", "code"),
    [("succeeded", "succeeded", 0), ("failed", "failed", 1), ("cancelled", "cancelled", 4)],
)
def test_the_exit_code_says_how_it_ended(ctl, checking, status, second, code):
    checking(status, second)
    assert ctl("check", "a", "b", "--credential", "lab").returncode == code


def test_json_is_the_job_as_the_interface_has_it(ctl, checking):
    failing(checking)
    done = ctl("--json", "check", "a", "b")
    (line,) = done.stdout.splitlines()
    first, second = json.loads(line)["nodes"]
    assert first["checked"] == SEEN
    assert msgspec.convert(second["checked"], Checked, strict=True) == Checked(
        reachable=True, host_key="changed"
    )
    assert second["failure"]["hint"] in done.stderr


def test_after_ctrl_c_the_job_goes_on(canned, node, job, in_shell):
    held = threading.Event()
    begun = job("running", node("a", "running"), kind="check")
    canned.on("Start:check", canned.reply({"job": begun, "request_id": "r"}))
    canned.watch(begun, then=held)
    shell = in_shell("exec $CUCMCTL check a --credential lab")
    canned.until_called("Watch")
    shell.send_signal(signal.SIGINT)
    out, error = shell.communicate(timeout=30)
    held.set()
    assert shell.returncode == 130
    assert "3f2a00112233 goes on" in error
    assert out == ""
