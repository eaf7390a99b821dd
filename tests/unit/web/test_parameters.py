"""HTTP requests to parameters of methods."""

import msgspec
import pytest

from cucmweb.operations import OPERATIONS, Operation
from cucmweb.parameters import from_body, from_query, members, parameters
from cucmweb.problems import HttpProblem


def operation(verb: str, path: str) -> Operation:
    return next(one for one in OPERATIONS if (one.verb, one.path) == (verb, path))


LIST = operation("GET", "/jobs")
START = operation("POST", "/jobs")


def test_query_values_are_converted() -> None:
    query = [("status", "running"), ("limit", "5"), ("labels", "case=1"), ("labels", "site=b=c")]
    given = from_query(query, members(LIST))
    assert given == {"status": "running", "limit": 5, "labels": {"case": "1", "site": "b=c"}}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ([("limit", "many")], "limit"),
        ([("limit", "1"), ("limit", "2")], "limit"),
        ([("labels", "case")], "labels"),
        ([("labels", "case=1"), ("labels", "case=2")], "labels"),
        ([("stauts", "running")], "stauts"),
        ([("on_behalf_of", "x")], "on_behalf_of"),
        ([("a" * 100, "x")], "?"),
        ([("a\nb", "x")], "?"),
    ],
)
def test_wrong_query_names_the_field(query: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(HttpProblem) as caught:
        from_query(query, members(LIST))
    assert (caught.value.status, caught.value.more["field"]) == (400, field)


def test_query_sets_members_of_object() -> None:
    find = operation("GET", "/jobs/{job_id}/find")
    query = [("text", "SIP/2.0 503"), ("context", "3"), ("nodes", "pub")]
    values = from_query(query, members(find))
    assert parameters(find, {"job_id": "57f3"}, values) == {
        "job_id": "57f3",
        "search": {"text": "SIP/2.0 503"},
        "context": 3,
        "nodes": ["pub"],
    }


def test_body_values_are_not_changed() -> None:
    body = b'{"nodes": ["a"], "login": {"password": "x", "no such": 1.50}}'
    given = from_body(body, members(START))
    assert bytes(given["login"]) == b'{"password": "x", "no such": 1.50}'
    assert from_body(b" ", members(START)) == {}


@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b"null", b"{", b"\xff", b'{"nodes": [}', b'{"nodes": ["\xff"]}'),
        *(b"[" * 100_000, b'{"a":' * 100_000),
    ],
    ids=lambda body: str(body[:16]),
)
def test_body_has_to_be_an_object(body: bytes) -> None:
    with pytest.raises(HttpProblem) as caught:
        from_body(body, members(START))
    assert caught.value.more["field"] == "body"


@pytest.mark.parametrize("name", ["on_behalf_of", "request_id", "start_key", "nodse"])
def test_unknown_members_are_refused(name: str) -> None:
    with pytest.raises(HttpProblem) as caught:
        from_body(msgspec.json.encode({name: "x"}), members(START))
    assert caught.value.more["field"] == name


def test_path_gives_node_or_nodes() -> None:
    path = {"job_id": "1234", "node": "a"}
    cancel = operation("POST", "/jobs/{job_id}/nodes/{node}/cancel")
    transcript = operation("GET", "/jobs/{job_id}/nodes/{node}/transcript")
    assert parameters(cancel, path, {}) == {"job_id": "1234", "nodes": ["a"]}
    assert parameters(transcript, path, {}) == {"job_id": "1234", "node": "a"}
    assert members(cancel) == {}


def test_no_request_sets_on_behalf_of() -> None:
    assert all("on_behalf_of" not in members(one) for one in OPERATIONS)
