"""`run`: its request, what it prints where, and how it ends."""

import json
import signal
import subprocess
import sys

import pytest

STATUS, SERVICES = "show status", "utils service list"


def output(name, number, command, text, **fields):
    values = {"ended": True, "complete": True, **fields}
    return {"node": name, "number": number, "command": command, "text": text, **values}


@pytest.fixture
def running(canned, node, job):
    """The daemon's answers: a job with two nodes that ends so, and what the nodes have printed."""

    def _running(status="succeeded", second="succeeded", pieces=(), **fields):
        begun = job("running", node("a", "running"), node("b", "pending"), kind="run", **COMMANDS)
        canned.on("Start:commands", canned.reply({"job": begun, "request_id": "r"}))
        half = job("running", node("a", "succeeded"), node("b", "running"), kind="run", **COMMANDS)
        ended = job(
            status, node("a", "succeeded"), node("b", second, **fields), kind="run", **COMMANDS
        )
        canned.watch(begun, half, ended)
        replies = [canned.reply({"output": one}, continues=True) for one in pieces]
        canned.on("Output", *replies, canned.reply({"output": None}))
        return ended

    return _running


COMMANDS = {"commands": [STATUS, SERVICES]}


def asked(canned):
    """Returns the request, which comes after what is looked up first."""
    (request,) = [parameters for method, parameters in canned.calls if method == "Start:commands"]
    return request


def test_every_option_is_a_field_of_the_request(canned, ctl, running):
    running()
    done = ctl(
        *(
            "run",
            "a",
            "b",
            "--credential",
            "lab",
            "--label",
            "case=1",
            "--try-all",
            "--accept-nodes",
        ),
        *("--concurrency", "2", "--command-timeout", "9", "--connect-timeout", "1"),
        *("--login-timeout", "2", "--node-timeout", "60", "--job-timeout", "70"),
        *("--", "show", "status", "--then", "utils service list"),
    )
    assert done.returncode == 0, done.stderr
    request = dict(asked(canned))
    assert request.pop("start_key")
    assert request == {
        "nodes": ["a", "b"],
        "commands": {"lines": [STATUS, SERVICES]},
        "login": {"credential": "lab"},
        "labels": {"case": "1"},
        "concurrency": 2,
        "try_all": True,
        "accept_nodes": True,
        "timeouts": {"connect": 1.0, "login": 2.0, "command": 9.0, "node": 60.0, "job": 70.0},
    }


def test_options_of_ours_behind_the_dashes_are_words_of_the_command(canned, ctl, running):
    running()
    ctl("run", "a", "--credential", "lab", "--", "show", "--json", "--help")
    assert asked(canned)["commands"] == {"lines": ["show --json --help"]}


def test_commands_of_a_file(canned, ctl, running, tmp_path):
    running()
    (tmp_path / "c").write_text("# what anybody does first\nshow status\n\nutils ntp status # x\n")
    done = ctl("run", "a", "--credential", "lab", "--file", str(tmp_path / "c"))
    assert done.returncode == 0, done.stderr
    assert asked(canned)["commands"] == {"lines": [STATUS, "utils ntp status"]}


def test_standard_input_that_is_closed_has_no_commands(canned, in_shell):
    process = in_shell("$CUCMCTL run a --credential lab --file - <&-")
    assert "--file: -: " in process.communicate()[1]
    assert (process.returncode, canned.calls) == (2, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a"], "-- show status"),
        (["a", "--"], "no command"),
        (["--", "show", "status"], "TARGET"),
        (["a", "--", "show", "status", "--then"], "--then"),
        (["a", "--", "--then", "show", "status"], "--then"),
        (["a", "--file", "/nowhere"], "--file"),
        (["a", "--file", "/dev/null"], "--file"),
        (["a", "--file", "x", "--", "show", "status"], "--file"),
        (["a", "--file", "-", "--user", "u", "--password-file", "-"], "standard input"),
    ],
)
def test_wrong_usage(canned, ctl, words, said):
    done = ctl("run", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert canned.calls == []


def test_what_each_node_has_printed_is_on_standard_output_and_nothing_else(canned, ctl, running):
    pieces = [
        output("x", 1, STATUS, "Host Name : a\n", ended=False),
        output("x", 1, STATUS, "Uptime:\n"),
        output("x", 2, SERVICES, "\x1b[31mred\n", complete=False),
    ]
    running(pieces=pieces)
    done = ctl("run", "a", "b", "--credential", "lab", "--", STATUS, "--then", SERVICES)
    assert done.returncode == 0, done.stderr
    of_one = [
        *("=== x: show status", "Host Name : a", "Uptime:", ""),
        *("=== x: utils service list  (not to its end)", "\\x1b[31mred", ""),
    ]
    assert done.stdout.splitlines() == of_one * 2  # the answer that is made up is that of each node
    asked = [call[1]["nodes"] for call in canned.calls if call[0] == "Output"]
    assert asked == [["a"], ["a"], ["b"], ["b"]]  # while it runs, and once it has ended
    assert "3f2a00112233" in done.stderr


def test_json_is_an_object_a_line_and_the_job_at_the_end(ctl, running):
    parsed = {"services": [], "others": ["x"]}
    running(pieces=[output("x", 2, SERVICES, "x\n", parsed=parsed)])
    done = ctl("--json", "run", "a", "b", "--credential", "lab", "--", STATUS)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(line) for line in lines] == [["output"], ["output"], ["job"]]
    assert lines[0]["output"]["parsed"] == parsed
    assert lines[-1]["job"]["commands"] == [STATUS, SERVICES]


def test_the_exit_code_and_the_reason_of_a_node_that_failed(ctl, running):
    failure = {"code": "command_refused", "message": "it said no", "retryable": True}
    running("partial", "failed", error="it said no", failure=failure)
    done = ctl("run", "a", "b", "--credential", "lab", "--", STATUS)
    assert done.returncode == 3
    assert "b: it said no" in done.stderr


def test_ctrl_c_while_the_rest_is_waited_for_does_not_say_that_the_job_goes_on(
    canned, environ, running
):
    running()
    canned.on("Output", None)  # the daemon is stopped as the job ends
    command = [sys.executable, "-m", "cucmctl", "--socket", str(canned.path), "run", "a", "b"]
    with subprocess.Popen(
        [*command, "--credential", "lab", "--", *STATUS.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        while "went away" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stderr = process.communicate()[1]
    assert process.returncode == 130
    assert stderr == "cucmctl: job 3f2a00112233 has ended: succeeded\n"
