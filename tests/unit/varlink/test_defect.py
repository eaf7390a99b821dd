"""A defect in the log: the lines of code, and no values."""

import pytest

from cucmd.varlink.defect import trace

SECRET = "hunter" + "2"  # not in one piece in a line that a trace shows


def fail(secret: str) -> None:
    raise KeyError(secret)


def wrap(secret: str) -> None:
    try:
        fail(secret)
    except KeyError as error:
        raise ExceptionGroup(secret, [ValueError(secret)]) from error


def test_a_trace_has_all_causes_and_no_text_of_errors() -> None:
    try:
        wrap(SECRET)
    except ExceptionGroup as error:
        text = trace(error)
    assert "raise KeyError(secret)" in text
    assert [line for line in text.splitlines() if not line.startswith(" ")] == [
        "KeyError",
        "ValueError",
        "ExceptionGroup",
    ]
    assert SECRET not in text


def forget(secret: str) -> None:
    try:
        fail(secret)
    except KeyError:
        raise ValueError(secret) from None


def test_a_suppressed_cause_is_not_shown() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        forget(SECRET)
    assert "ValueError" in trace(caught.value)
    assert "fail(secret)" not in trace(caught.value)
