"""`Client` for programs: requests, results and exceptions."""

import _thread
import inspect
import os
import re
import signal
import socket
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue

import pytest

import cucmctl
from cucmctl import Client, Collection, Login
from cucmctl.client.errors import SocketNotPermitted
from cucmd.protocol import errors as wire_errors
from cucmd.protocol.jobs import JobReply
from cucmd.protocol.requests import CancelReply
from rig.asking import SHORT_FORMS
from rig.quiet import wait_until

JOB_ID = "3f2a00112233"


@pytest.fixture
def client(canned):
    with Client(canned.path) as client:
        yield client


@pytest.mark.parametrize(("name", "arguments", "asked"), SHORT_FORMS)
def test_short_form_starts_its_work(canned, client, job, name, arguments, asked):
    for method in ("Start", f"Start:{asked[0]}"):
        canned.on(method, canned.reply({"job": job("running")}))
    assert getattr(client, name)(*arguments, login=Login(credential="lab")).job_id == JOB_ID
    [(_, sent)] = canned.calls
    assert (sent["nodes"], sent.get(asked[0])) == (["a"], asked[1])


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("List", Client.list),
        ("Files", lambda client: list(client.files(JOB_ID))),
        ("Export", lambda client: client.export(JOB_ID)),
    ],
)
def test_program_speaks_for_a_person(canned, monkeypatch, method, call):
    monkeypatch.setenv("CUCMD_ON_BEHALF_OF", "view night shift")
    canned.on(method, canned.error("NotPermitted"))
    with Client(canned.path) as client, pytest.raises(cucmctl.NotPermitted):
        call(client)
    [(_, sent)] = canned.calls
    assert sent["on_behalf_of"] == {"name": "night shift", "role": "view"}


ONE_TEXT = r"{}: 'berlin' is a single text; expected several, as in \['berlin'\]"


@pytest.mark.parametrize(
    ("nodes", "paths", "wrong"),
    [("berlin", ("cm/trace",), "nodes"), (["ccm-pub"], "berlin", "collection.paths")],
)
def test_single_text_is_no_list(canned, client, nodes, paths, wrong):
    with pytest.raises(TypeError, match=ONE_TEXT.format(wrong)):
        client.start(nodes, login=Login(), work=Collection(paths=paths))
    assert canned.calls == []


def test_connection_serves_many_calls(canned, client, job, summary):
    canned.on("Status", canned.reply({"job": job()}))
    canned.on("List", canned.reply({"jobs": [summary()]}))
    answer = {"job_id": JOB_ID, "status": "cancelled", "cancelled": True, "message": "done"}
    canned.on("Cancel", canned.reply(answer))
    for _ in range(3):
        assert client.status("3f2a").job_id == JOB_ID
    assert client.list(status="running", limit=5)[0].job_id == JOB_ID
    assert client.cancel("3f2a", ["ccm-pub"]) == CancelReply(**answer)
    assert canned.connections == 1


def test_refusal_carries_its_fields(canned, client):
    canned.on("Cancel", canned.error("NodeNotFound", job_id=JOB_ID, node="x"))
    with pytest.raises(cucmctl.NodeNotFound) as caught:
        client.cancel("3f2a", ["x"])
    assert isinstance(caught.value, cucmctl.Refused)
    assert isinstance(caught.value, cucmctl.ClientError)
    assert caught.value.name == "io.cucmd.Jobs.NodeNotFound"
    assert caught.value.parameters == wire_errors.NodeNotFound(JOB_ID, "x")


def test_silent_daemon_times_out(canned):
    silent = threading.Event()
    canned.on("Status", silent)
    with (
        Client(canned.path, timeout=0.05) as client,
        pytest.raises(cucmctl.DaemonUnavailable, match=r"did not answer within 0\.05 s"),
    ):
        client.status("3f2a")


def test_late_reply_is_dropped(canned, job):
    late = threading.Event()
    canned.on("Status", late, canned.reply({"job": job(job_id="late")}))
    with Client(canned.path, timeout=0.05) as client:
        with pytest.raises(cucmctl.DaemonUnavailable):
            client.status("3f2a")
        canned.on("Status", canned.reply({"job": job(job_id="next")}))
        late.set()
        client.timeout = 30
        assert client.status("3f2a").job_id == "next"


def test_full_queue_times_out(canned):
    """The queue of the listener is full, so the kernel lets `connect` wait."""
    path = canned.path.with_name("full")
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(path))
        full.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            begun = time.monotonic()
            with (
                Client(path, timeout=0.1) as client,
                pytest.raises(cucmctl.DaemonUnavailable, match="did not answer"),
            ):
                client.status("3f2a")
            assert time.monotonic() - begun < 10


def test_long_request_is_not_sent(canned, client):
    with pytest.raises(cucmctl.InvalidRequest, match="at most 1048576"):
        client.cancel("3f2a", ["x" * 2_000_000])
    assert canned.calls == []


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda client: client.status("\udc80"), "job_id"),
        (lambda client: next(client.watch("\udc80")), "job_id"),
        (lambda client: client.cancel("3f2a", ["a", "\udc80"]), "nodes[1]"),
        (lambda client: start(client, Login("root", "\udc80")), "login.password"),
        (lambda client: client.call("\udc80", {}, JobReply), "the request"),
    ],
)
def test_text_must_be_utf8(canned, client, call, parameter):
    with pytest.raises(cucmctl.InvalidRequest, match="it is not UTF-8") as caught:
        call(client)
    assert caught.value.parameters.parameter == parameter
    shown = "".join(traceback.format_exception(caught.value))
    assert "can't encode" not in shown  # that message contains the text, which may be a password
    assert canned.calls == []


def start(client, login):
    return client.start(["a"], login=login, work=Collection(paths=("x",)))


def test_module_names_every_method():
    named = set(re.findall(r"`(\w+)`", inspect.getdoc(cucmctl).partition("They return")[0]))
    assert named - {"Client", "cucmd"} == {
        name for name in vars(Client) if not name.startswith("_")
    }


def test_exported_names_exist():
    for name in cucmctl.__all__:
        assert getattr(cucmctl, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Clientele'"):
        cucmctl.Clientele  # noqa: B018  # the access is what is tested


def test_ctrl_c_before_wait_is_kept(canned, client, job):
    """The signal arrives just before a system call, which it does not interrupt."""
    main = Path(f"/proc/self/task/{threading.main_thread().native_id}/stat")
    over, told = threading.Event(), SimpleQueue()

    def interrupt(asked):
        wait_until(lambda: main.read_text().rpartition(")")[2].split()[0] == "S")
        _thread.interrupt_main()
        told.put(over.wait(10))
        return {}

    begun = {"sequence": 0, "missed": 0, "job": job("running")}
    canned.on("Watch", canned.reply(begun, continues=True), interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in client.watch(JOB_ID):
                pass
    finally:
        signal.signal(signal.SIGINT, before)
    over.set()
    assert told.get(timeout=10), "before the daemon's next reply"


def test_refused_socket_names_its_group(canned):
    """The message never names the group of root, which somebody might join."""
    canned.path.chmod(0o660)
    said = str(SocketNotPermitted(str(canned.path)))
    assert str(canned.path) in said
    own = os.stat(canned.path).st_gid
    assert ("access.operate_group" if own == 0 else "may do everything") in said
    canned.path.chmod(0o600)
    assert "group" not in str(SocketNotPermitted(str(canned.path)))
