"""`check`, `discover`, `run` and `follow`: what they print on which stream, and their ends."""

import json
import signal
import threading

import pytest

STATUS, SERVICES = "show status", "utils service list"
LAB = ("--credential", "lab")
FAILURE = {"code": "x", "message": "it said: no", "retryable": False, "hint": "ask it"}


def piece(name, number, text, **fields):
    values = {"command": STATUS, "ended": True, "complete": True, **fields}
    return {"node": name, "number": number, "text": text, **values}


@pytest.fixture
def works(canned, node, job):
    """Prepares a job of this kind, with its pieces of output and its end."""

    def _works(work, kind, *pieces, status="succeeded", nodes=(), **fields):
        nodes = nodes or (node("a", status), node("b", "succeeded"))
        begun = job("running", *(node(one["node"], "running") for one in nodes), kind=kind)
        canned.on(f"Start:{work}", canned.reply({"job": begun, "request_id": "r"}))
        ended = job(status, *nodes, kind=kind, **fields)
        canned.watch(begun, ended)
        replies = [canned.reply({"output": one}, continues=True) for one in pieces]
        canned.on("Output", *replies, canned.reply({"output": None}))
        return ended

    return _works


def test_check_prints_table_and_hint(ctl, node, works):
    seen = {"reachable": True, "host_key": "changed"}
    failed = node("b", "failed", checked=seen, error="it said: no", failure=FAILURE)
    works("check", "check", status="partial", nodes=(node("a", checked=seen), failed))
    done = ctl("check", "a", "b", *LAB)
    assert done.returncode == 3
    assert [line.split()[0] for line in done.stdout.splitlines()[:3]] == ["NODE", "a", "b"]
    assert "hint: ask it" in done.stdout
    assert "3f2a00112233" in done.stderr
    assert "--receiver" in done.stderr


FOUND = {
    "members": [
        {"node": "10.0.0.2", "address": "10.0.0.2", "name": "sub1", "role": "Subscriber"}
        | {"product": "callmanager"}
    ],
    "version": "15.0.1",
}


def test_discover_prints_only_nodes(ctl, node, works):
    works("discovery", "discover", nodes=(node("pub", found=FOUND, notes=["an unknown line"]),))
    done = ctl("discover", "pub", *LAB)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["NODE", "10.0.0.2", "version"]
    assert "3f2a00112233" in done.stderr
    assert "an unknown line" in done.stderr


def test_discover_saves_only_a_block(ctl, node, works):
    works("discovery", "discover", nodes=(node("pub", found=FOUND),))
    done = ctl("discover", "pub", "--save", "berlin", *LAB)
    assert "[clusters.berlin]" in done.stdout
    assert 'credential = "lab"' in done.stdout
    assert "NODE" not in done.stdout
    assert "NODE" in done.stderr


def test_discover_names_the_wrong_argument(canned, ctl):
    wrong = canned.error("InvalidRequest", parameter="nodes[0]", reason="'a b' is no name")
    canned.on("Start:discovery", wrong)
    done = ctl("discover", "a b", *LAB)
    assert (done.returncode, done.stderr) == (65, "cucmctl: PUBLISHER: 'a b' is no name\n")


def test_run_prints_only_outputs(canned, ctl, works):
    pieces = [
        piece("x", 1, "Host Name : a\n", ended=False),
        piece("x", 1, "Uptime:\n"),
        piece("x", 2, "\x1b[31mred\n", command=SERVICES, complete=False),
    ]
    works("commands", "run", *pieces)
    done = ctl("run", "a", "b", *LAB, "--", STATUS, "--then", SERVICES)
    assert done.returncode == 0
    of_each = [
        line
        for node in ("a", "b")  # both give the canned answer
        for line in (
            *(f"=== {node}: show status", "Host Name : a", "Uptime:", ""),
            *(f"=== {node}: utils service list  (not to its end)", "\\x1b[31mred", ""),
        )
    ]
    assert done.stdout.splitlines() == of_each
    assert "3f2a00112233" in done.stderr


@pytest.mark.parametrize("status", ["running", "cancelled"])
def test_output_is_printed_again(canned, ctl, works, status):
    ended = works("commands", "run", piece("a", 1, "one\n", ended=False), piece("a", 1, "\x1b\n"))
    canned.on("Status", canned.reply({"job": {**ended, "status": status}}))
    done = ctl("output", "3f2a", "--node", "a")
    assert (done.returncode, done.stdout) == (0, "=== a: show status\none\n\\x1b\n\n")
    assert canned.calls[-1][1] == {"job_id": ended["job_id"], "nodes": ["a"]}
    as_json = json.loads(ctl("--json", "output", "3f2a").stdout)
    assert as_json["output"]["text"] == "one\n\x1b\n"


def test_ctrl_c_names_the_output(canned, node, process, works):
    fields = {"commands": [STATUS], "collection": {}}
    begun = works("commands", "run", status="running", nodes=(node("a"),), **fields)
    going = threading.Event()
    canned.on("Start:commands", canned.reply({"job": begun, "request_id": "r"}))
    canned.watch(begun, then=going)
    with process("run", "a", *LAB, "--", *STATUS.split()) as one:
        canned.until_called("Watch")
        one.send_signal(signal.SIGINT)
        stderr = one.communicate()[1]
    going.set()
    assert one.returncode == 130
    assert "cucmctl output 3f2a00112233" in stderr


def test_no_output_is_said(canned, ctl, works):
    canned.on("Status", canned.reply({"job": works("commands", "run")}))
    done = ctl("output", "3f2a")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no output yet" in done.stderr


def test_follow_prefixes_lines_of_several_nodes(ctl, works):
    works("follow", "follow", piece("a", 1, "one\ntwo\n"), piece("b", 1, "\x1b\n"))
    done = ctl("follow", "a", "b", "x", *LAB)
    assert (done.returncode, done.stdout) == (0, "a: one\na: two\nb: \\x1b\n")
    assert "Ctrl-C" in done.stderr.splitlines()[0]


@pytest.mark.parametrize(("verb", "work"), [("run", "commands"), ("follow", "follow")])
def test_json_is_outputs_and_job(ctl, works, verb, work):
    works(work, verb, piece("a", 1, "one\n"))
    words = ("--", STATUS) if verb == "run" else ("x",)
    done = ctl("--json", verb, "a", "b", *LAB, *words)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {*map(tuple, lines[:-1])} == {("output",)}
    assert lines[-1]["job"]["kind"] == verb


def test_follow_ends_without_a_reader(canned, in_shell, works):
    job, one = works("follow", "follow"), {"output": piece("a", 1, "one\n")}
    canned.on("Output", canned.reply(one, continues=True), threading.Event())
    canned.on("Stop", canned.reply({"message": "it ends", "job": job}))
    with in_shell("$CUCMCTL follow a x --credential lab; echo code $? >&2") as shell:
        shell.stdout.readline()
        shell.stdout.close()
        assert shell.stderr.read().endswith("was ended on the nodes\ncode 141\n")
    assert "Stop" in [method for method, _ in canned.calls]


def test_closed_pipe_ends_what_is_followed(canned, in_shell, works):
    """Printing fails before the client looks whether anybody reads."""
    job, read = works("follow", "follow"), threading.Event()
    lines = [canned.reply({"output": piece("a", n, "one\n")}, continues=True) for n in (1, 2)]
    canned.on("Output", lines[0], read, lines[1], threading.Event())
    canned.on("Stop", canned.reply({"message": "it ends", "job": job}))
    with in_shell("$CUCMCTL follow a x --credential lab; echo code $? >&2") as shell:
        shell.stdout.readline()
        shell.stdout.close()
        read.set()
        _, *said = shell.stderr.read().splitlines()
    assert said == ["cucmctl: job 3f2a00112233 was ended on the nodes", "code 141"]


def test_follow_outlives_a_restart(canned, ctl, works):
    works("follow", "follow")
    first = canned.reply({"output": piece("a", 1, "one\n", ended=False)}, continues=True)
    canned.on("Output", first, None)
    done = ctl("follow", "a", "b", "x", *LAB)
    assert (done.returncode, done.stdout) == (0, "a: one\n")


@pytest.fixture
def followed(canned, terminal, node, works):
    """A terminal on which `follow` has printed a line, its job, and an event that ends it."""
    job, over = works("follow", "follow", nodes=(node("a"),)), threading.Event()
    first = canned.reply({"output": piece("a", 1, "one\n", ended=False)}, continues=True)
    canned.on("Output", first, over, canned.reply({"output": None}))
    screen = terminal("follow", "a", "x", *LAB)
    screen.until("one")
    yield screen, job, over
    over.set()


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_ends_what_is_followed(canned, followed, begun):
    """The method is `Stop`, or `Cancel` if no node has begun."""
    screen, job, over = followed

    def end(parameters):
        over.set()
        reply = {"message": "it ends", "job": job, "request_id": "r"}
        return reply if begun else {**reply, "job_id": "x", "status": "failed", "cancelled": True}

    refusal = canned.error("InvalidRequest", parameter="job_id", reason="it has not begun")
    canned.on("Stop", end if begun else refusal)
    canned.on("Cancel", end)
    screen.type("\x03")
    assert screen.ended() == 0, screen.screen
    ways = [method for method, _ in canned.calls if method in ("Stop", "Cancel")]
    assert ways == (["Stop"] if begun else ["Stop", "Cancel"])


def test_sigterm_ends_what_is_followed(canned, followed):
    screen, job, _ = followed
    canned.on("Stop", canned.reply({"message": "it ends", "job": job, "request_id": "r"}))
    screen.process.send_signal(signal.SIGTERM)
    assert screen.ended() == 128 + signal.SIGTERM
    assert "Stop" in [method for method, _ in canned.calls]


@pytest.mark.long
def test_second_ctrl_c_does_not_wait(canned, followed):
    screen, _, over = followed
    canned.on("Stop", over)
    screen.type("\x03")
    screen.until("again leaves it running")
    screen.type("\x03")
    assert screen.ended() == 130


def test_ctrl_c_after_the_end_says_so(canned, node, process, works):
    """The daemon goes away as the job ends, and its outputs are waited for."""
    works("commands", "run", nodes=(node("a"),))
    canned.on("Output", None)
    with process("run", "a", *LAB, "--", *STATUS.split()) as one:
        while "went away" not in one.stderr.readline():
            assert one.poll() is None
        one.send_signal(signal.SIGINT)
        stderr = one.communicate()[1]
    assert one.returncode == 130
    assert stderr == "cucmctl: job 3f2a00112233 has ended: succeeded\n"
