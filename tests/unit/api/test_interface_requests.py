"""Invalid requests to `io.cucmd.Jobs`: field and reason are named, and no secret is repeated."""

import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.api.jobs_interface import too_many
from cucmd.job.request import Request
from cucmd.protocol import errors as wire_errors
from cucmd.varlink import VarlinkError
from cucmd.varlink.request_decoding import decode_request
from rig.interface_maker import interface

PASSWORD = "correct-horse-7731"
START = {
    "nodes": ["cucm1.example.com", "10.0.0.2:2022"],
    "login": {"username": "administrator", "password": PASSWORD},
    "collection": {"paths": ["cm/trace/ccm/sdl"], "last": "2h", "recurs": True},
    "timeouts": {"connect": 30, "command": 600.5},
    "concurrency": 4,
}


INTERFACE = interface()
DECODERS = {one.name: msgspec.json.Decoder(one.request) for one in INTERFACE.methods}


def refusal(request: object, method: str = "Start") -> wire_errors.InvalidRequest:
    with pytest.raises(VarlinkError) as caught:
        decode_request(DECODERS[method], msgspec.Raw(msgspec.json.encode(request)), INTERFACE)
    assert caught.value.name == "io.cucmd.Jobs.InvalidRequest"
    return caught.value.parameters


def changed(path: str, value: object) -> dict:
    request = copy.deepcopy(START)
    *steps, last = path.split(".")
    inner = request
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return request


@pytest.mark.parametrize(
    ("path", "value", "parameter", "named"),
    [
        (
            "timeouts.conect",
            5,
            "timeouts.conect",
            "connect, login, answer, command, stall, node, job, grace",
        ),
        ("timeouts.connect", "soon", "timeouts.connect", "'soon'"),
        ("timeouts", [], "timeouts", "object"),
        ("nodes", "cucm1", "nodes", "'cucm1'"),
        ("nodes", ["a", "b", 3], "nodes[2]", "3: "),
        ("collection.paths", [None], "collection.paths[0]", "null"),
        ("collection.recurs", "yes", "collection.recurs", "'yes'"),
        ("concurrency", 2.5, "concurrency", "2.5"),
    ],
)
def test_a_wrong_field_is_named(path: str, value: object, parameter: str, named: str) -> None:
    refused = refusal(changed(path, value))
    assert (refused.parameter, named in refused.reason) == (parameter, True)


@pytest.mark.parametrize("method", DECODERS)
def test_every_method_can_be_called_on_behalf_of_somebody(method: str) -> None:
    request = DECODERS[method].type
    assert issubclass(request, Request)
    with pytest.raises(TypeError):  # by its name alone: callers give the others by their places
        request(*(None for _ in request.__struct_fields__))


@pytest.mark.parametrize(
    ("value", "parameter"),
    [
        ("alice", "on_behalf_of"),
        ({"name": "alice"}, "on_behalf_of.role"),
        ({"name": "alice", "role": None}, "on_behalf_of.role"),
        ({"name": "alice", "role": "admin"}, "on_behalf_of.role"),
        ({"name": 5, "role": "view"}, "on_behalf_of.name"),
        ({"name": "alice", "role": "view", "uid": 0}, "on_behalf_of.uid"),
    ],
)
@pytest.mark.parametrize("method", ["List", "Reload", "Watch"])
def test_on_whose_behalf_is_checked(method: str, value: object, parameter: str) -> None:
    assert refusal({"on_behalf_of": value}, method).parameter == parameter


@pytest.mark.parametrize("nobody", [{}, {"on_behalf_of": None}])
def test_on_nobodys_behalf(nobody: dict) -> None:
    raw = msgspec.Raw(msgspec.json.encode(nobody))
    assert decode_request(DECODERS["List"], raw, INTERFACE).on_behalf_of is None


def test_a_missing_field_is_named() -> None:
    request = {name: value for name, value in START.items() if name != "nodes"}
    assert refusal(request).parameter == "nodes"
    assert refusal({}, "Status").parameter == "job_id"


def test_a_field_of_another_method_is_unknown() -> None:
    assert refusal({"job_id": "abcd", "limit": 5}, "Status").parameter == "limit"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("login", PASSWORD),
        ("login", [PASSWORD]),
        ("login.password", [PASSWORD]),
        ("login.password", {"value": PASSWORD}),
        ("login.username", [PASSWORD]),
        ("login.pasword", PASSWORD),
        ("password", PASSWORD),
    ],
)
def test_a_password_in_the_wrong_place_is_not_repeated(path: str, value: object) -> None:
    wrong = refusal(changed(path, value))
    assert wrong.parameter.startswith(path)
    assert PASSWORD not in wrong.reason


@pytest.mark.parametrize("password", [PASSWORD, "a.b[c]", "Secret1", "two words", "trailing."])
def test_a_password_for_the_name_of_a_field_is_not_repeated(password: str) -> None:
    refused = refusal(changed("login", {password: "x"}))
    assert refused.parameter == "login.?"
    assert password not in refused.reason
    assert "username, password, credential" in refused.reason


def test_a_number_for_a_password_is_not_repeated() -> None:
    refused = refusal(changed("login.password", 7731))
    assert refused.parameter == "login.password"
    assert "7731" not in refused.reason


paths = ["nodes", "login", "login.username", "login.password", "collection", "collection.paths"]
paths += ["collection.last", "timeouts", "timeouts.connect", "concurrency", "surprise"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@given(st.sampled_from(paths), values)
def test_any_change_fits_or_is_refused_without_the_password(path: str, value: object) -> None:
    request = msgspec.Raw(msgspec.json.encode(changed(path, value)))
    try:
        decode_request(DECODERS["Start"], request, INTERFACE)
    except VarlinkError as error:
        assert PASSWORD not in repr(error.parameters)  # noqa: PT017  either outcome is right


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        ("connections", "connections_per_uid"),
        ("streams", "watchers_per_uid"),
    ],
)
def test_a_limit_of_the_socket_is_named_as_in_the_configuration(limit: str, name: str) -> None:
    assert too_many(limit, 5).parameters == wire_errors.LimitReached(name, 5)
