"""`follow`: its request, what it prints where, and how it ends."""

import json
import signal
import threading

import pytest

pytestmark = pytest.mark.long


LINE = "file tail activelog syslog/messages"


def piece(name, text, **fields):
    values = {"number": 1, "command": LINE, "ended": False, "complete": False, **fields}
    return {"node": name, "text": text, **values}


@pytest.fixture
def following(canned, node, job):
    """The daemon's answers: a job with nodes that end so, and what they have printed."""

    def _following(*pieces, status="succeeded", names=("a", "b"), **fields):
        kind = {"kind": "follow", "commands": [LINE]}
        begun = job("running", *(node(name, "running") for name in names), **kind)
        canned.on("Start:follow", canned.reply({"job": begun, "request_id": "r"}))
        first, *others = names
        ended = job(
            status, node(first, status, **fields), *(node(o, "succeeded") for o in others), **kind
        )
        canned.watch(begun, ended)
        replies = [canned.reply({"output": one}, continues=True) for one in pieces]
        canned.on("Output", *replies, canned.reply({"output": None}))
        return ended

    return _following


def asked(canned):
    (request,) = [parameters for method, parameters in canned.calls if method == "Start:follow"]
    return request


def test_every_option_is_a_field_of_the_request(canned, ctl, following):
    following()
    done = ctl(
        *("follow", "a", "--credential", "lab", "b", "--label", "case=1", "--try-all", "syslog"),
        *("--accept-nodes", "--concurrency", "2", "--recent", "--regexp", "SIP.*INVITE"),
        *("--duration", "1m30s", "--connect-timeout", "1", "--login-timeout", "2"),
        *("--answer-timeout", "3", "--node-timeout", "600", "--job-timeout", "700"),
    )
    assert done.returncode == 0, done.stderr
    request = dict(asked(canned))
    assert request.pop("start_key")
    timeouts = {"connect": 1.0, "login": 2.0, "answer": 3.0, "node": 600.0, "job": 700.0}
    assert request == {
        "nodes": ["a", "b"],
        "follow": {"path": "syslog", "recent": True, "regexp": "SIP.*INVITE", "duration": 90.0},
        "login": {"credential": "lab"},
        "labels": {"case": "1"},
        "concurrency": 2,
        "try_all": True,
        "accept_nodes": True,
        "timeouts": timeouts,
    }
    assert ("Output", {"job_id": "3f2a00112233", "follow": True}) in canned.calls


def test_what_is_not_given_is_not_sent(canned, ctl, following):
    following(names=("a",))
    assert ctl("follow", "a", "x/y", "--credential", "lab").returncode == 0
    request = dict(asked(canned))
    assert request.pop("start_key")
    assert request == {
        "nodes": ["a"],
        "follow": {"path": "x/y"},
        "login": {"credential": "lab"},
    }


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("a",),
        ("--cluster-of", "a"),
        ("a", "--cluster-of", "b", "x"),
        ("a", "x", "--duration", "1x"),
        ("a", "x", "--regexp", "a", "--regexp", "b"),
        ("a", "x", "--wait"),
        ("a", "x", "--command-timeout", "1"),
    ],
)
def test_wrong_usage(canned, ctl, words):
    done = ctl("follow", *words, "--credential", "lab")
    assert (done.returncode, done.stdout) == (2, "")
    assert canned.calls == []


def test_the_lines_of_several_nodes_have_their_names(ctl, following):
    following(piece("a", "one\ntwo\n"), piece("b", "x\n"), piece("a", "half", ended=True))
    done = ctl("follow", "a", "b", "x", "--credential", "lab")
    assert (done.returncode, done.stdout) == (0, "a: one\na: two\nb: x\na: half\n")
    assert "Ctrl-C" in done.stderr.splitlines()[0]
    assert "2 nodes: 2 succeeded" in done.stderr


def test_those_of_one_node_stand_alone_and_cannot_control_a_terminal(ctl, following):
    following(piece("a", "red \x1b[31m\n\u202eturned\n\n"), names=("a",))
    done = ctl("follow", "a", "x", "--credential", "lab")
    assert done.stdout == "red \\x1b[31m\n\\u202eturned\n\n"


def test_json_is_each_piece_and_then_the_job(ctl, following):
    following(piece("a", "one\n"), piece("a", "", ended=True, complete=True))
    done = ctl("--json", "follow", "a", "b", "x", "--credential", "lab")
    first, second, last = map(json.loads, done.stdout.splitlines())
    assert (first["output"]["text"], second["output"]["complete"]) == ("one\n", True)
    assert last["job"]["kind"] == "follow"


def test_a_node_that_failed_is_named_and_the_exit_code_says_so(ctl, following):
    failure = {"code": "command_refused", "message": "it said: no", "retryable": False}
    following(status="failed", names=("a",), failure={**failure, "hint": "level 1"})
    done = ctl("follow", "a", "x", "--credential", "lab")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it said: no (command_refused)" in done.stderr
    assert "level 1" in done.stderr


def test_a_daemon_that_goes_away_is_waited_for(canned, ctl, following):
    following(names=("a",))
    canned.on("Output", canned.reply({"output": piece("a", "one\n")}, continues=True), None)
    done = ctl("follow", "a", "x", "--credential", "lab")
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_stops_it_or_cancels_what_has_not_begun(canned, terminal, following, begun):
    job, ended = following(names=("a",)), threading.Event()

    def end(parameters):
        ended.set()
        of_stop = {"message": "it ends", "job": job, "request_id": "r"}
        of_cancel = {"job_id": job["job_id"], "status": "cancelled", "cancelled": True}
        return of_stop if begun else {**of_cancel, "message": "cancelled"}

    first = canned.reply({"output": piece("a", "one\n")}, continues=True)
    canned.on("Output", first, ended, canned.reply({"output": None}))
    if begun:
        canned.on("Stop", end)
    else:
        reason = "it has not begun on the nodes"
        canned.on("Stop", canned.error("InvalidRequest", parameter="job_id", reason=reason))
        canned.on("Cancel", end)
    screen = terminal("follow", "a", "x", "--credential", "lab")
    screen.until("one")
    screen.type("\x03")
    assert screen.ended() == 0, screen.screen
    ways = [method for method, _ in canned.calls if method in ("Stop", "Cancel")]
    assert ways == ["Stop"] if begun else ["Stop", "Cancel"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_and_sigterm_end_it(canned, terminal, following, number):
    job, over = following(names=("a",)), threading.Event()
    first = canned.reply({"output": piece("a", "one\n")}, continues=True)
    canned.on("Output", first, over)
    canned.on("Stop", canned.reply({"message": "it ends", "job": job, "request_id": "r"}))
    screen = terminal("follow", "a", "x", "--credential", "lab")
    screen.until("one")
    screen.process.send_signal(number)
    assert screen.ended() == 128 + number
    over.set()
    assert "Stop" in [method for method, _ in canned.calls]


@pytest.mark.long
def test_a_second_ctrl_c_leaves_where_the_daemon_does_not_answer(canned, terminal, following):
    following(names=("a",))
    over = threading.Event()
    first = canned.reply({"output": piece("a", "one\n")}, continues=True)
    canned.on("Output", first, over)
    canned.on("Stop", over)
    screen = terminal("follow", "a", "x", "--credential", "lab")
    screen.until("one")
    screen.type("\x03")
    screen.until("not ended")
    screen.until("again")
    assert "it is ended" not in screen.screen
    screen.type("\x03")
    assert screen.ended() == 130
    over.set()


def test_stop_ends_one_too(canned, ctl, following):
    reply = {"message": "the follow on 1 node ends", "job": following(), "request_id": "r"}
    canned.on("Stop", canned.reply(reply))
    done = ctl("stop", "3f2a")
    assert (done.returncode, done.stdout) == (0, "the follow on 1 node ends\n")
