"""`run` on a terminal: what nodes print is seen as it comes."""

import threading

import pytest

PUB = "cucm-pub.telephony.example.org"
LOGIN = ("--user", "administrator")


def clean(screen):
    """Returns the lines. Nothing is left of what was set up."""
    assert screen.unknown == []
    assert screen.cursor_shown
    assert screen.settings == screen.before
    return [line.rstrip() for line in screen.screen.splitlines()]


def with_password(screen):
    screen.until("Password of administrator")
    screen.type("secret\r")
    return screen


def output(name, number, text):
    command = "show status" if number == 1 else "utils service list"
    values = {"node": name, "number": number, "command": command, "text": text}
    return {"output": {**values, "ended": True, "complete": True}}


@pytest.fixture
def running(canned, node, job):
    """A job whose node has printed one output, and prints another after `go_on`."""
    commands = {"kind": "run", "commands": ["show status", "utils service list"]}
    go_on = threading.Event()
    begun = job("running", node(PUB, "running", files_received=0, bytes_received=0), **commands)
    half = job("running", node(PUB, "running", files_received=1, bytes_received=90), **commands)
    ended = job("succeeded", node(PUB, files_received=2, bytes_received=120), **commands)
    canned.on("Start:commands", canned.reply({"job": begun}))
    changes = [
        {"sequence": n, "missed": 0, "job": one} for n, one in enumerate((begun, half, ended))
    ]
    canned.on(
        "Watch",
        *(canned.reply(one, continues=True) for one in changes[:2]),
        go_on,
        canned.reply(changes[2]),
    )
    first = output(PUB, 1, "Host Name : pub\n\x1b]0;mine\x07\tTotal\n")
    second = output(PUB, 2, "Cisco Tomcat[STARTED]\n")
    end = canned.reply({"output": None})
    canned.on_each(
        "Output",
        (canned.reply(first, continues=True), end),
        (canned.reply(first, continues=True), canned.reply(second, continues=True), end),
    )
    return go_on


RUN = ("run", PUB, *LOGIN, "--", "show status", "--then", "utils service list")


def test_what_commands_print_is_seen_as_it_comes(terminal, running):
    screen = with_password(terminal(*RUN))
    screen.until("Total")
    seen = clean_so_far(screen)
    assert f"=== {PUB}: show status" in seen
    assert "utils service list" not in " ".join(seen)
    running.set()
    assert screen.ended() == 0
    lines = clean(screen)
    assert lines.count(f"=== {PUB}: show status") == 1
    assert lines.count(f"=== {PUB}: utils service list") == 1
    assert "\\x1b]0;mine\\x07\\tTotal" in lines, "a node does not steer the terminal"
    assert "Cisco Tomcat[STARTED]" in lines
    assert lines[-1].startswith("job 3f2a00112233 succeeded: ")


def clean_so_far(screen):
    assert screen.unknown == []
    return [line.rstrip() for line in screen.screen.splitlines()]


def test_ctrl_c_leaves_the_commands_running(terminal, running):
    screen = with_password(terminal(*RUN))
    screen.until("Total\n")
    screen.interrupt()
    assert screen.ended() == 130
    running.set()
    assert "job 3f2a00112233 goes on" in " ".join(clean(screen))
