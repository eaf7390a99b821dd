"""`discover`: its request, what it prints where, and how it ends."""

import signal
import threading

import pytest

MEMBER = {
    "node": "10.0.0.2",
    "address": "10.0.0.2",
    "name": "sub1",
    "role": "Subscriber",
    "product": "callmanager",
}
FOUND = {"members": [MEMBER], "version": "15.0.1"}


@pytest.fixture
def discovery(canned, node, job):
    """The daemon's answers: a discovery that ends so."""

    def _discovery(status="succeeded", **fields):
        begun = job("running", node("pub", "running"), kind="discover")
        canned.on("Start:discovery", canned.reply({"job": begun, "request_id": "r"}))
        ended = job(status, node("pub", status, found=FOUND, **fields), kind="discover")
        canned.watch(begun, ended)
        return ended

    return _discovery


def test_every_option_is_a_field_of_the_request(canned, ctl, discovery):
    discovery()
    done = ctl(
        *("discover", "pub", "--credential", "lab", "--label", "case=1"),
        *("--connect-timeout", "1", "--login-timeout", "2", "--answer-timeout", "3"),
    )
    assert done.returncode == 0, done.stderr
    request = next(asked for method, asked in canned.calls if method == "Start:discovery")
    assert request.pop("start_key")
    assert request == {
        "nodes": ["pub"],
        "discovery": {},
        "login": {"credential": "lab"},
        "labels": {"case": "1"},
        "timeouts": {"connect": 1.0, "login": 2.0, "answer": 3.0},
    }


def test_the_nodes_are_on_standard_output_and_the_job_and_notes_are_not(ctl, discovery):
    discovery(notes=["one line in no known form"])
    done = ctl("discover", "pub")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["NODE", "10.0.0.2", "version"]
    assert "3f2a00112233" in done.stderr
    assert "in no known form" in done.stderr


def test_a_block_to_save_is_alone_on_standard_output(ctl, discovery):
    discovery()
    done = ctl("discover", "pub", "--save", "berlin", "--credential", "lab")
    assert "nothing is saved" in done.stderr
    assert done.returncode == 0
    assert "[clusters.berlin]" in done.stdout
    assert 'credential = "lab"' in done.stdout
    assert "NODE" not in done.stdout
    assert "NODE" in done.stderr


def test_a_name_that_cannot_be_is_that_of_the_publisher(canned, ctl):
    wrong = canned.error("InvalidRequest", parameter="nodes[0]", reason="'a b' is no name")
    canned.on("Start:discovery", wrong)
    done = ctl("discover", "a b", "--credential", "lab")
    assert (done.returncode, done.stdout) == (65, "")
    assert "PUBLISHER" in done.stderr


def test_after_ctrl_c_in_the_look_up_that_follows_it_is_said_that_it_has_ended(
    canned, discovery, in_shell
):
    looked_up, held = threading.Event(), threading.Event()
    known = {
        "nodes_total": 1,
        "nodes_configured": 0,
        "publisher": "pub",
        "asked": "pub",
        "discovered_at": "2026-03-01T08:00:00Z",
        "nodes": [],
    }

    def clusters(asked):
        if "Start:discovery" in [method for method, _ in canned.calls]:
            looked_up.set()
            held.wait(30)
        return {"clusters": [known] if "name" in asked else []}

    discovery()
    canned.on("Clusters", clusters)
    shell = in_shell("exec $CUCMCTL discover pub --credential lab")
    assert looked_up.wait(30)
    shell.send_signal(signal.SIGINT)
    error = shell.communicate(timeout=30)[1]
    held.set()
    assert shell.returncode == 130
    assert "3f2a00112233 has ended: succeeded" in error
    assert "goes on" not in error
