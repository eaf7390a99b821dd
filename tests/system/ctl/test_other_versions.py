"""A client and a daemon of different versions understand each other.

A client of version 0.1.0 is its structs (`rig.structs_0_1_0`), which it makes requests of and
decodes replies with. A daemon of a later version is canned replies with fields more.
"""

from collections.abc import Callable, Iterator

import msgspec
import pytest

import cucmctl
from cucmctl import Client
from cucmctl.client.frames import CallFrame
from cucmctl.client.wire import Wire
from rig import structs_0_1_0 as before
from rig.daemon import Daemon
from rig.jobs import start
from rig.lab import Lab
from system.ctl.conftest import JOB_ID, make_job, make_node, make_summary

ANOTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
COLLECTION = before.Collection(paths=("cm/trace/ccm/sdl",), last="2h", recurs=False)


class ClientBefore:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def stream(self, method: str, request: msgspec.Struct, kind: type) -> Iterator[msgspec.Struct]:
        connection = Wire(str(self._daemon.socket))
        try:
            name = f"{before.INTERFACE}.{method}"
            connection.send(CallFrame(name, request, more=method == "Watch"), None)
            going_on = True
            while going_on:
                reply = connection.receive(None)
                going_on = reply.continues
                if reply.error is not None:
                    kind = getattr(before, reply.error.removeprefix(f"{before.INTERFACE}."))
                yield msgspec.json.decode(reply.parameters, type=kind)
        finally:
            connection.close()

    def call(self, method: str, request: msgspec.Struct, kind: type) -> msgspec.Struct:
        (reply,) = self.stream(method, request, kind)
        return reply


@pytest.mark.long
def test_a_client_of_0_1_0_works_with_a_daemon_of_today(
    daemon: Daemon, make_lab: Callable[..., Lab]
) -> None:
    lab, client = make_lab(2, "--fault", "2=key-changed"), ClientBefore(daemon)
    login = before.Login(lab.username, lab.password)
    timeouts = before.Timeouts(connect=20, command=300)
    start = before.StartRequest(tuple(lab.nodes), login, COLLECTION, timeouts, 2)
    job_id = client.call("Start", start, before.JobReply).job.job_id

    list(client.stream("Watch", before.WatchRequest(job_id), before.WatchReply))
    again = client.call("Start", start, before.JobReply).job
    *_, last = client.stream("Watch", before.WatchRequest(again.job_id), before.WatchReply)
    assert [node.status for node in last.job.nodes] == ["succeeded", "failed"]
    assert last.job.nodes[1].failure.code == "host_key_changed"
    assert last.job.collection.paths == COLLECTION.paths
    assert (last.job.timeouts.connect, last.job.timeouts.command) == (20, 300)

    shown = client.call("Status", before.StatusRequest(again.job_id), before.JobReply).job
    assert shown == last.job
    listed = client.call("List", before.ListRequest("partial"), before.ListReply).jobs
    assert [one.job_id for one in listed] == [again.job_id]
    everything = client.stream("Watch", before.WatchRequest(), before.WatchReply)
    assert {one.job_id for one in next(everything).jobs} == {job_id, again.job_id}
    everything.close()
    cancelled = client.call("Cancel", before.CancelRequest(again.job_id), before.CancelReply)
    assert (cancelled.status, cancelled.cancelled) == ("partial", False)


@pytest.mark.long
def test_a_timeout_of_today_is_in_no_reply_to_a_client_of_0_1_0(
    daemon: Daemon, make_lab: Callable[..., Lab]
) -> None:
    """Its `Timeouts` takes no other field, not even null. The job was started by a client of
    today, and the daemon keeps the timeout.
    """
    lab, before_client = make_lab(1, "--fault", "hang:prepare"), ClientBefore(daemon)
    with daemon.client() as client:
        job = start(client, lab, answer=1.5, grace=1)
        asked = before.StatusRequest(job.job_id)
        seen = before_client.call("Status", asked, before.JobReply).job
        assert seen.timeouts.grace == 1
        failure = client.wait(job.job_id).nodes[0].failure
    assert failure.code == "command_timeout"
    assert " 1.5s " in failure.message
    ended = before_client.call("Status", asked, before.JobReply).job
    assert ended.nodes[0].failure.code == "command_timeout"


@pytest.mark.long
def test_a_client_of_0_1_0_manages_host_keys_of_a_daemon_of_today(daemon: Daemon) -> None:
    client = ClientBefore(daemon)
    add = before.AddHostKeyRequest("10.0.0.1", ANOTHER_KEY)
    (added,) = client.call("AddHostKey", add, before.HostKeysReply).host_keys
    listed = client.call("ListHostKeys", before.ListHostKeysRequest(), before.ListHostKeysReply)
    assert listed.host_keys == (added,)
    forget = before.ForgetHostKeyRequest("10.0.0.1")
    assert client.call("ForgetHostKey", forget, before.ForgetHostKeyReply).forgotten == 1


@pytest.mark.long
def test_a_client_of_0_1_0_gets_the_reason_of_a_refusal(daemon: Daemon) -> None:
    client, login = ClientBefore(daemon), before.Login("root", "platform-secret")

    def refusal(method: str, request: msgspec.Struct) -> msgspec.Struct:
        return client.call(method, request, before.JobReply)

    def start(nodes: tuple[str, ...] = ("10.0.0.1",), **asked: object) -> msgspec.Struct:
        values = {"login": login, "collection": COLLECTION, **asked}
        return refusal("Start", before.StartRequest(nodes, **values))

    assert refusal("Status", before.StatusRequest("beef")) == before.JobNotFound("beef")
    assert start(()).parameter == "nodes"
    unknown = before.Collection(profile="no-such")
    assert start(collection=unknown) == before.ProfileNotFound("no-such")
    named = before.Login(credential="no-such")
    assert start(login=named) == before.CredentialNotFound("no-such")
    nowhere = refusal("AddHostKey", before.AddHostKeyRequest("127.0.0.1:1"))
    assert (nowhere.node, nowhere.failure.code) == ("127.0.0.1:1", "connection_refused")


# Today's client, and a daemon of tomorrow.


def with_more(value: object) -> object:
    """Returns the same with a field more in every object of it."""
    if isinstance(value, dict):
        more = {name: with_more(inner) for name, inner in value.items()}
        return {**more, "since_version_9": {"of": ["any", {"kind": None}]}}
    return [with_more(inner) for inner in value] if isinstance(value, list) else value


FAILURE = {"code": "of_tomorrow", "message": "m", "retryable": True, "hint": None}
JOB = make_job("running", make_node(status="failed", failure=FAILURE, error="m"), make_node("b"))
CHANGE = {"sequence": 1, "missed": 0, "job": JOB}
CHANGES = {"sequence": 2, "missed": 0, "jobs": [make_summary()]}
KEY = {"node": "a", "algorithm": "ssh-ed25519", "fingerprint": "SHA256:x", "line": "a ssh-ed25519"}
CANCELLED = {"job_id": JOB_ID, "status": "cancelled", "cancelled": True, "message": "m"}
LOGIN, ANY = cucmctl.Login("root", "secret"), cucmctl.Collection(paths=("x",))


@pytest.mark.parametrize(
    ("method", "reply", "call"),
    [
        ("Start", {"job": JOB}, lambda client: client.start(["a"], login=LOGIN, collection=ANY)),
        ("Status", {"job": JOB}, lambda client: client.status(JOB_ID)),
        ("List", {"jobs": [make_summary()]}, Client.list),
        ("Cancel", CANCELLED, lambda client: client.cancel(JOB_ID)),
        ("Watch", CHANGE, lambda client: list(client.watch(JOB_ID))),
        ("Watch", CHANGES, lambda client: list(client.watch())),
        ("ListHostKeys", {"host_keys": [KEY]}, Client.host_keys),
        ("AddHostKey", {"host_keys": [KEY]}, lambda client: client.add_host_key("a")),
        ("ForgetHostKey", {"forgotten": 1}, lambda client: client.forget_host_key("a")),
    ],
)
def test_fields_of_a_later_daemon_are_read_past_at_every_level(canned, method, reply, call) -> None:
    with Client(canned.path) as client:
        canned.on(method, canned.reply(reply))
        known = call(client)
        canned.on(method, canned.reply(with_more(reply)))
        assert call(client) == known


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("JobNotFound", {"job_id": "beef"}),
        ("NodeNotFound", {"job_id": "beef", "node": "x"}),
        ("ProfileNotFound", {"profile": "x"}),
        ("CredentialNotFound", {"credential": "x"}),
        ("InvalidRequest", {"parameter": "x", "reason": "r"}),
        ("LimitReached", {"limit": "jobs", "maximum": 4}),
        ("ShuttingDown", {}),
        ("StorageFailed", {"reason": "r"}),
        ("ScanFailed", {"node": "x", "failure": FAILURE}),
        ("InternalError", {}),
    ],
)
def test_a_refusal_of_a_later_daemon_is_the_one_that_it_was(canned, name, parameters) -> None:
    with Client(canned.path) as client:
        canned.on("Status", canned.error(name, **with_more(parameters)))
        with pytest.raises(cucmctl.Refused) as caught:
            client.status("beef")
    assert type(caught.value).__name__ == name
    shown = msgspec.to_builtins(caught.value.parameters)
    assert {field: shown[field] for field in parameters} == parameters
