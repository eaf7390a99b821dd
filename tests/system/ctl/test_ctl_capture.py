"""`capture` and `stop`: their requests, what is shown meanwhile, and how they end."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.long


ID = "3f2a00112233"
SETTINGS = {
    "name": f"cucmd_{ID}",
    "interface": "eth0",
    "count": 100_000,
    "duration": 60.0,
    "delete": False,
}


def began(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def capturing(job, node):
    """A job on two nodes that capture since then, or have; as the wire has it."""

    def _capturing(status="running", since=10, **fields):
        ended = status != "running"
        captured = {"name": SETTINGS["name"], "started_at": began(since), "running": not ended}
        if ended:
            captured |= {"ended_at": began(0), "packets": 312, "how": "stop"}
        of_node = {"phase": "command"} if not ended else {}
        of_node |= {"files_announced": None, "bytes_announced": None} if not ended else {}
        nodes = [
            node(name, status, capture=captured, files_received=int(ended), **of_node)
            for name in ("ccm-pub", "ccm-sub1")
        ]
        started = {"started_at": began(since)} if not ended else {}
        return job(status, *nodes, kind="capture", capture=SETTINGS, **started, **fields)

    return _capturing


@pytest.fixture
def started(canned, capturing):
    begun = capturing()
    canned.on("Start:capture", canned.reply({"job": begun, "request_id": "r"}))
    return begun


def asked(canned):
    (request,) = [parameters for method, parameters in canned.calls if method == "Start:capture"]
    return request


def test_every_option_is_a_field_of_the_request(canned, ctl, started):
    done = ctl(
        *("capture", "a", "b", "--credential", "lab", "--label", "case=1", "--try-all"),
        *("--accept-nodes", "--concurrency", "2", "--host", "10.20.0.1", "--port", "5060"),
        *("--count", "500", "--size", "128", "--duration", "1m30s", "--interface", "eth1"),
        *("--delete", "--connect-timeout", "1", "--login-timeout", "2", "--answer-timeout", "3"),
        *("--command-timeout", "4", "--stall-timeout", "5", "--node-timeout", "600"),
        *("--job-timeout", "700"),
    )
    assert (done.returncode, done.stdout) == (0, f"{ID}\n"), done.stderr
    request = dict(asked(canned))
    assert request.pop("start_key")
    timeouts = {"connect": 1.0, "login": 2.0, "answer": 3.0, "command": 4.0, "stall": 5.0}
    assert request == {
        "nodes": ["a", "b"],
        "login": {"credential": "lab"},
        "capture": {
            **{"interface": "eth1", "host": "10.20.0.1", "port": 5060, "count": 500},
            **{"size": 128, "duration": 90.0, "delete": True},
        },
        "labels": {"case": "1"},
        "concurrency": 2,
        "try_all": True,
        "accept_nodes": True,
        "timeouts": {**timeouts, "node": 600.0, "job": 700.0},
    }


def test_what_is_not_given_is_not_sent(canned, ctl, started):
    assert ctl("capture", "a", "--credential", "lab", "--size", "all").returncode == 0
    request = dict(asked(canned))
    assert request.pop("start_key")
    assert request == {"nodes": ["a"], "login": {"credential": "lab"}, "capture": {}}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("a", "--duration", "1x"),
        ("a", "--size", "some"),
        ("a", "--count", "0"),
        ("a", "--port", "sip"),
        ("a", "--host", "1.2.3.4", "--host", "1.2.3.5"),
        ("a", "--wait", "--watch"),
        ("a", "--snapshot"),
    ],
)
def test_wrong_usage(canned, ctl, words):
    done = ctl("capture", *words, "--credential", "lab")
    assert (done.returncode, done.stdout) == (2, "")
    assert canned.calls == []


def test_wait_says_how_it_ended_and_how_many_packets_came(canned, ctl, started, capturing):
    canned.watch(started, capturing("succeeded"))
    done = ctl("capture", "ccm-pub", "ccm-sub1", "--credential", "lab", "--wait")
    assert (done.returncode, done.stdout) == (0, f"{ID}\n"), done.stderr
    assert "2 files, 8.0 MB, 624 packets" in done.stderr
    assert f"cucmctl export {ID}" in done.stderr


def test_json_is_the_job(canned, ctl, started, capturing):
    ended = capturing("succeeded")
    canned.watch(started, ended)
    done = ctl("--json", "capture", "a", "--credential", "lab", "--wait")
    shown = json.loads(done.stdout)
    assert shown["capture"] == {**SETTINGS, "host": None, "port": None, "size": None}
    assert [one["capture"]["packets"] for one in shown["nodes"]] == [312, 312]


def test_stop_prints_the_message(canned, ctl, capturing):
    reply = {"message": "the captures on 2 nodes end", "job": capturing(), "request_id": "r"}
    canned.on("Stop", canned.reply(reply))
    done = ctl("stop", "3F2A")
    assert (done.returncode, done.stdout) == (0, "the captures on 2 nodes end\n")
    assert canned.calls[-1] == ("Stop", {"job_id": "3f2a"})
    as_json = json.loads(ctl("--json", "stop", "3f2a").stdout)
    assert (as_json["message"], as_json["job"]["job_id"]) == (reply["message"], ID)


def test_stop_of_a_job_that_does_not_capture_is_refused(canned, ctl):
    reason = "it collects files, and captures nothing"
    canned.on("Stop", canned.error("InvalidRequest", parameter="job_id", reason=reason))
    done = ctl("stop", "3f2a")
    assert (done.returncode, done.stdout) == (65, "")
    assert f"JOB: {reason}" in done.stderr


def test_on_a_terminal_of_80_columns(canned, terminal, started):
    go_on = threading.Event()
    canned.watch(started, then=go_on)
    screen = terminal("capture", "ccm-pub", "ccm-sub1", "--credential", "lab", "--watch")
    screen.until("of the capture left")
    lines = [line.rstrip() for line in screen.screen.splitlines()]
    shown = next(line for line in lines if line.startswith("ccm-pub"))
    assert shown.split()[:2] == ["ccm-pub", "capturing"]
    assert 30 < int(shown.split()[2].removesuffix("s")) <= 50
    assert "silent" not in screen.screen
    assert max(map(len, lines)) <= 80
    screen.type("\x03")
    assert screen.ended() == 130
    assert "cucmctl stop 3f2a00112233" in screen.screen
    assert "cucmctl cancel 3f2a00112233" in screen.screen
