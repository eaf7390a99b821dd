"""`Client`, for programs: what it sends, what it gives, what it raises."""

import _thread
import inspect
import re
import signal
import socket
import stat
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

import cucmctl
from cucmctl import Client, Collection, How, Login, Timeouts
from cucmd.job.work import StartRequest
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


def test_start_gives_the_job(canned, client, job):
    canned.on("Start", canned.reply({"job": job("running")}))
    started = client.start(
        ["ccm-pub"],
        login=Login(username="administrator", password="x"),
        work=Collection(profile="callmanager", last="2h"),
        how=How(timeouts=Timeouts(command=60), concurrency=2),
    )
    assert (started.job_id, started.nodes[0].status) == (JOB_ID, "running")
    assert canned.calls[0][1]["timeouts"]["command"] == 60
    assert canned.calls[0][1]["concurrency"] == 2


@pytest.mark.parametrize(("name", "arguments", "asked"), SHORT_FORMS)
def test_a_short_form_starts_its_kind_of_work(canned, client, job, name, arguments, asked):
    for method in ("Start", f"Start:{asked[0]}"):
        canned.on(method, canned.reply({"job": job("running")}))
    assert getattr(client, name)(*arguments, login=Login(credential="lab")).job_id == JOB_ID
    [(_, sent)] = canned.calls
    assert (sent["nodes"], sent.get(asked[0])) == (["a"], asked[1])


ONE_TEXT = r"{}: 'berlin' is a single text; expected several, as in \['berlin'\]"


@pytest.mark.parametrize(
    ("nodes", "paths", "wrong"),
    [("berlin", ("cm/trace",), "nodes"), (["ccm-pub"], "berlin", "collection.paths")],
)
def test_start_refuses_one_text_for_a_list(canned, client, nodes, paths, wrong):
    with pytest.raises(TypeError, match=ONE_TEXT.format(wrong)):
        client.start(nodes, login=Login(), work=Collection(paths=paths))
    assert canned.calls == []


def test_cancel_refuses_one_text_for_a_list(canned, client):
    with pytest.raises(TypeError, match=ONE_TEXT.format("nodes")):
        client.cancel("3f2a", nodes="berlin")
    assert canned.calls == []


def test_one_connection_serves_many_calls(canned, client, job, summary):
    canned.on("Status", canned.reply({"job": job()}))
    canned.on("List", canned.reply({"jobs": [summary()]}))
    answer = {"job_id": JOB_ID, "status": "cancelled", "cancelled": True, "message": "done"}
    canned.on("Cancel", canned.reply(answer))
    for _ in range(3):
        assert client.status("3f2a").job_id == JOB_ID
    assert client.list(status="running", limit=5)[0].job_id == JOB_ID
    assert client.cancel("3f2a", ["ccm-pub"]) == CancelReply(**answer)
    assert canned.connections == 1


def test_a_daemon_that_was_restarted_is_called_anew(canned, client, job):
    canned.on("Status", canned.reply({"job": job()}), None)
    client.status("3f2a")
    canned.until_hung_up()
    client.status("3f2a")
    assert canned.connections == 2


def test_watch_gives_each_state_and_leaves_the_client_free(canned, client, job):
    canned.on("Status", canned.reply({"job": job()}))
    canned.watch(job("running"), job("succeeded"))
    seen = []
    for change in client.watch("3f2a"):
        seen.append((change.sequence, change.job.status))
        client.status("3f2a")
    assert seen == [(0, "running"), (1, "succeeded")]


def test_a_watch_that_is_left_closes_its_connection(canned, client, job):
    canned.watch(job("running"), then=threading.Event())
    changes = client.watch("3f2a")
    next(changes)
    changes.close()
    with pytest.raises(StopIteration):
        next(changes)


def test_watch_asks_for_more(canned, client, job):
    canned.watch(job())
    list(client.watch("3f2a"))
    assert canned.last == {
        "method": "io.cucmd.Jobs.Watch",
        "parameters": {"job_id": "3f2a"},
        "more": True,
    }


def test_wait_gives_the_job_once_it_has_ended(canned, client, job):
    canned.watch(job("running"), job("cancelled"))
    assert client.wait("3f2a").status == "cancelled"


def test_wait_gives_up_after_its_timeout(canned, client, job):
    canned.watch(job("running"), then=threading.Event())
    with pytest.raises(TimeoutError):
        client.wait("3f2a", timeout=0.05)


def test_a_reply_in_many_pieces_is_put_together(canned, client, job):
    frame = canned.reply({"job": job(directory="/" + "ü" * 70_000)})
    canned.on("Status", *(frame[at : at + 4001] for at in range(0, len(frame), 4001)))
    assert len(client.status("3f2a").directory) == 70_001


def test_fields_of_a_newer_daemon_do_no_harm(canned, client, job):
    canned.on("Status", canned.reply({"job": job(colour="blue"), "more_to_come": 1}))
    assert client.status("3f2a").job_id == JOB_ID


def test_a_refusal_carries_the_fields_of_the_wire(canned, client):
    canned.on("Cancel", canned.error("NodeNotFound", job_id=JOB_ID, node="x"))
    with pytest.raises(cucmctl.NodeNotFound) as caught:
        client.cancel("3f2a", ["x"])
    assert isinstance(caught.value, cucmctl.Refused)
    assert isinstance(caught.value, cucmctl.ClientError)
    assert caught.value.name == "io.cucmd.Jobs.NodeNotFound"
    assert caught.value.parameters == wire_errors.NodeNotFound(JOB_ID, "x")


def test_after_a_refusal_the_connection_serves_on(canned, client, job):
    canned.on("Status", canned.error("JobNotFound", job_id="beef"))
    with pytest.raises(cucmctl.JobNotFound):
        client.status("beef")
    canned.on("Status", canned.reply({"job": job()}))
    assert client.status("3f2a").job_id == JOB_ID
    assert canned.connections == 1


def test_a_silent_daemon_is_not_waited_for_for_ever(canned):
    silent = threading.Event()
    canned.on("Status", silent)
    with (
        Client(canned.path, timeout=0.05) as client,
        pytest.raises(cucmctl.DaemonUnavailable, match=r"did not answer within 0\.05 s"),
    ):
        client.status("3f2a")


def test_a_late_reply_is_never_taken_for_the_next_calls(canned, job):
    late = threading.Event()
    canned.on("Status", late, canned.reply({"job": job(job_id="late")}))
    with Client(canned.path, timeout=0.05) as client:
        with pytest.raises(cucmctl.DaemonUnavailable):
            client.status("3f2a")
        canned.on("Status", canned.reply({"job": job(job_id="next")}))
        late.set()
        client.timeout = 30
        assert client.status("3f2a").job_id == "next"


def test_a_daemon_that_accepts_nobody_is_not_waited_for_for_ever(canned):
    """Its queue of connections is full: the kernel would have us wait in `connect`."""
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


def test_an_error_that_came_before_the_close_is_read(canned, job):
    """A daemon at its limit answers and closes, before the call has come."""
    path = canned.path.with_name("shut")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with Client(path) as client:
            client.connect()
            connection, _ = listener.accept()
            connection.sendall(canned.error("LimitReached", limit="connections", maximum=64))
            connection.close()
            with pytest.raises(cucmctl.LimitReached) as caught:
                client.status("3f2a")
    assert caught.value.parameters == wire_errors.LimitReached("connections", 64)


@pytest.mark.parametrize(
    ("mode", "group", "named"),
    [
        (0o660, 4242, ["group 'phones'", "'users', 77"]),
        (0o660, 0, ["access.operate_group"]),
        (0o600, 4242, []),
        (None, 4242, []),
    ],
)
def test_a_socket_that_the_kernel_refuses_is_not_permitted(monkeypatch, mode, group, named):
    """The group that is asked for is the socket's own, only one that may connect, and never
    that of root, which somebody would join."""

    class Refused(socket.socket):
        def connect(self, address):
            raise PermissionError(13, "Permission denied")

    def look(path):
        if mode is None:
            raise PermissionError(13, "Permission denied")
        return SimpleNamespace(st_mode=stat.S_IFSOCK | mode, st_gid=group)

    names = {0: "root", 4242: "phones", 100: "users"}
    monkeypatch.setattr("socket.socket", Refused)
    monkeypatch.setattr("grp.getgrgid", lambda gid: SimpleNamespace(gr_name=names[gid]))
    of_os = SimpleNamespace(stat=look, getegid=lambda: 100, getgroups=lambda: [77, 100])
    monkeypatch.setattr("cucmctl.client.errors.os", of_os)
    with pytest.raises(cucmctl.NotPermitted) as raised:
        Client("/run/cucmd/cucmd.sock").status("3f2a")
    said = str(raised.value)
    assert "/run/cucmd/cucmd.sock" in said
    assert all(name in said for name in named)
    assert ("group" in said) == bool(named)
    assert "root" not in said


def test_a_request_that_is_too_long_is_not_sent(canned, client):
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
def test_a_text_that_json_cannot_hold_is_refused_by_the_name_of_its_field(
    canned, client, call, parameter
):
    with pytest.raises(cucmctl.InvalidRequest, match="it is not UTF-8") as caught:
        call(client)
    assert caught.value.parameters.parameter == parameter
    shown = "".join(traceback.format_exception(caught.value))
    assert "can't encode" not in shown  # that message contains the text, which may be a password
    assert canned.calls == []


def start(client, login):
    return client.start(["a"], login=login, work=Collection(paths=("x",)))


def test_what_json_has_no_form_for_is_the_callers_mistake(canned, client):
    with pytest.raises(TypeError):
        client.status(object())
    assert canned.calls == []


def test_a_reply_without_end_is_not_kept(canned, client, monkeypatch):
    monkeypatch.setattr("cucmctl.client.frames.LONGEST_REPLY", 100_000)
    canned.on("Status", b"x" * 300_000)
    with pytest.raises(cucmctl.ProtocolError, match="without an end"):
        client.status("3f2a")


def test_a_password_is_in_no_repr():
    assert "secret" not in repr(StartRequest(("a",), Login("u", "secret"), Collection()))


def test_the_opening_page_names_every_method():
    named = set(re.findall(r"`(\w+)`", inspect.getdoc(cucmctl).partition("They return")[0]))
    assert named - {"Client", "cucmd"} == {
        name for name in vars(Client) if not name.startswith("_")
    }


def test_all_that_is_exported_is_there():
    for name in cucmctl.__all__:
        assert getattr(cucmctl, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Clientele'"):
        cucmctl.Clientele  # noqa: B018  # the access is what is tested


def test_ctrl_c_just_before_a_wait_is_not_lost(canned, client, job):
    """Python has been told, and no system call of the main thread is interrupted by that."""
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
