"""The client ignores fields that only a later daemon sends."""

import pytest

import cucmctl
from cucmctl import Client
from system.ctl.conftest import JOB_ID, make_job, make_node, make_summary


def with_more(value: object) -> object:
    """Adds a field to every object in the value."""
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
        ("Start", {"job": JOB}, lambda client: client.start(["a"], login=LOGIN, work=ANY)),
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
def test_unknown_fields_are_ignored(canned, method, reply, call) -> None:
    with Client(canned.path) as client:
        canned.on(method, canned.reply(reply))
        known = call(client)
        canned.on(method, canned.reply(with_more(reply)))
        assert call(client) == known
