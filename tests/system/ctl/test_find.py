"""`cucmctl find` as a process: what ends it early."""

import signal
import threading

import pytest

PATIENCE = 30
MATCH = {
    "node": "ccm-pub",
    "path": "10.0.0.1/2026-03-01_08-00-00/cm/trace/ccm/sdl/SDL001_100_000001.txt.gz",
    "line": "INVITE sip:7021004@ccm-pub SIP/2.0",
    "number": 1,
    "time": "2026-03-01T07:59:00.120000Z",
}


@pytest.fixture
def found(canned, job):
    """Lets the daemon find `count` lines, and then do what `then` says."""

    def make(count, *then):
        canned.on("Status", canned.reply({"job": job()}))
        matches = [MATCH] * count
        reply = canned.reply({"files": 1, "bytes": 1, "matches": matches}, continues=bool(then))
        canned.on("Find", reply, *then)

    return make


def test_ctrl_c_ends_a_search(found, process):
    found(1, threading.Event())
    run = process("find", "3f2a", "INVITE")
    assert run.stdout.readline().endswith(f"SDL001_100_000001.txt.gz:1: {MATCH['line']}\n")
    run.send_signal(signal.SIGINT)
    out, said = run.communicate(timeout=PATIENCE)
    assert (run.returncode, out) == (130, "")
    assert said == "cucmctl: interrupted after 1 file\n"


@pytest.mark.parametrize("form", ["", "--json"])
def test_closed_pipe_ends_a_search_quietly(found, in_shell, form):
    found(20_000)
    run = in_shell(f"($CUCMCTL find 3f2a INVITE {form}; echo $? >&2) | head -n 1")
    out, said = run.communicate(timeout=PATIENCE)
    assert out.count("\n") == 1
    assert said == "141\n"
