"""Errors for invalid requests have the field, the value and what was expected."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.varlink import VarlinkError
from cucmd.varlink.request_decoding import decode_request
from rig.example_interface import Echo, Example, Inner

DECODER = msgspec.json.Decoder(Echo)
WHICH = "is unknown; expected one of text, numbers, inner, secret, labels"


def fitted(parameters: object) -> Echo:
    raw = parameters if isinstance(parameters, bytes) else msgspec.json.encode(parameters)
    return decode_request(DECODER, msgspec.Raw(raw), Example().interface())


def test_valid_parameters_become_the_struct() -> None:
    assert fitted({"text": "a", "numbers": [1], "inner": {"ratio": 2}}) == Echo(
        "a", (1,), Inner(2.0)
    )


@pytest.mark.parametrize(
    ("parameters", "parameter", "reason"),
    [
        ({}, "text", "is missing; expected a string"),
        ({"text": 5}, "text", "5: expected a string"),
        ({"text": None}, "text", "null: expected a string"),
        ({"text": True}, "text", "true: expected a string"),
        ({"text": {}}, "text", "an object: expected a string"),
        ({"text": ["hunter2"]}, "text", "an array: expected a string"),
        ({"text": "", "numbers": "many"}, "numbers", "'many': expected an array"),
        ({"text": "", "numbers": [1, 2, "x"]}, "numbers[2]", "'x': expected an integer"),
        ({"text": "", "numbers": [1.5]}, "numbers[0]", "1.5: expected an integer"),
        ({"text": "", "labels": {"a": 1}}, "labels[...]", "expected a string"),
        ({"text": "", "labels": ["a"]}, "labels", "an array: expected an object"),
        ({"text": "", "inner": 3}, "inner", "3: expected an object"),
        ({"text": "", "inner": {"ratio": "a\nb"}}, "inner.ratio", "'a\\nb': expected a number"),
        ({"text": "", "numbers": "x" * 90}, "numbers", f"'{'x' * 80}'...: expected an array"),
        (
            {"text": "", "txt": "hunter2"},
            "txt",
            WHICH,
        ),
        (
            {"text": "", "inner": {"rat`io": 1}},
            "inner.rat`io",
            "is unknown; expected one of ratio, password",
        ),
        ({"txt": 5}, "txt", WHICH),
        ({"": 5}, "parameters", WHICH),
        (
            {"text": "", "inner": {"a.b[3]": 1}},
            "inner.a.b[3]",
            "is unknown; expected one of ratio, password",
        ),
        ({"text": "", "inner": {"": 1}}, "inner.", "is unknown; expected one of ratio, password"),
        ({"text": "", "t" * 90: 1}, "t" * 64, WHICH),
        ({"text": "", "täxt": 1}, "t?xt", WHICH),
        ([], "parameters", "expected an object"),
        ("hunter2", "parameters", "expected an object"),
        (
            b'{"text":"","inner":{"ratio":1e999}}',
            "inner.ratio",
            "is out of range; expected a number",
        ),
        (
            b'{"text":"","numbers":[' + b"9" * 5000 + b"]}",
            "numbers[0]",
            "is out of range; expected an integer",
        ),
    ],
)
def test_error_has_field_and_reason(parameters: object, parameter: str, reason: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        fitted(parameters)
    assert caught.value.parameters.parameter == parameter
    assert caught.value.parameters.reason == reason


@pytest.mark.parametrize(
    ("value", "parameter"),
    [
        ("hunter2", "secret"),
        (7331, "secret"),
        ({"password": 7331}, "secret.password"),
        ({"password": ["hunter2"]}, "secret.password"),
        ({"ratio": "hunter2"}, "secret.ratio"),
        ({"pass": "hunter2"}, "secret.pass"),
        (["hunter2"], "secret"),
    ],
)
def test_values_below_secrets_are_hidden(value: object, parameter: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        fitted({"text": "", "secret": value})
    assert caught.value.parameters.parameter == parameter
    assert "hunter2" not in caught.value.parameters.reason
    assert "7331" not in caught.value.parameters.reason


def test_null_means_no_parameters() -> None:
    assert (
        decode_request(msgspec.json.Decoder(Inner), msgspec.Raw(b"null"), Example().interface())
        == Inner()
    )
    with pytest.raises(VarlinkError, match="Invalid"):
        fitted(None)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["text", "numbers", "inner", "secret", "ratio", "password", "a` - at `$.b"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_value_is_decoded_or_refused(value: object) -> None:
    try:
        fitted(value)
    except VarlinkError as error:
        assert error.parameters.parameter  # noqa: PT017  either outcome is right
        assert "expected" in error.parameters.reason  # noqa: PT017


class Several(msgspec.Struct):
    parts: tuple[Inner, ...] | None = None
    more: list[Inner] = []


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"parts": [{}, {"ratoi": 1}]}, "parts[1].ratoi"),
        ({"more": [{"ratoi": 1}]}, "more[0].ratoi"),
        ({"more": 1}, "more"),
    ],
)
def test_unknown_field_in_array_is_found(parameters: object, parameter: str) -> None:
    raw = msgspec.Raw(msgspec.json.encode(parameters))
    with pytest.raises(VarlinkError) as caught:
        decode_request(msgspec.json.Decoder(Several), raw, Example().interface())
    assert caught.value.parameters.parameter == parameter
