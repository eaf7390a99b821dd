"""Invalid requests to `io.cucmd.Jobs`: no error repeats a password."""

import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("method", DECODERS)
def test_every_request_has_on_behalf_of(method: str) -> None:
    request = DECODERS[method].type
    assert issubclass(request, Request)
    with pytest.raises(TypeError):  # by its name alone: callers give the others by their places
        request(*(None for _ in request.__struct_fields__))


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
def test_misplaced_password_is_not_repeated(path: str, value: object) -> None:
    wrong = refusal(changed(path, value))
    assert wrong.parameter.startswith(path)
    assert PASSWORD not in wrong.reason


@pytest.mark.parametrize("password", [PASSWORD, "a.b[c]", "Secret1", "two words", "trailing."])
def test_password_as_field_name_is_hidden(password: str) -> None:
    refused = refusal(changed("login", {password: "x"}))
    assert refused.parameter == "login.?"
    assert password not in refused.reason
    assert "username, password, credential" in refused.reason


paths = ["nodes", "login", "login.username", "login.password", "collection", "collection.paths"]
paths += ["collection.last", "timeouts", "timeouts.connect", "concurrency", "surprise"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@given(st.sampled_from(paths), values)
def test_no_error_repeats_the_password(path: str, value: object) -> None:
    request = msgspec.Raw(msgspec.json.encode(changed(path, value)))
    try:
        decode_request(DECODERS["Start"], request, INTERFACE)
    except VarlinkError as error:
        assert PASSWORD not in repr(error.parameters)  # noqa: PT017  either outcome is right
