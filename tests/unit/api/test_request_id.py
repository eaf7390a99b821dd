"""The request id of a call: the caller's own, or a new one; fit for a log line."""

import pytest

from cucmd.api.request_id import LONGEST, request_id
from cucmd.config import InvalidValue


@pytest.mark.parametrize("own", ["x", "case 698123456/2", "~" * LONGEST])
def test_the_callers_own_is_kept(own: str) -> None:
    assert request_id(own) == own


def test_without_one_each_call_gets_another() -> None:
    assert len({request_id(None) for _ in range(100)}) == 100


@pytest.mark.parametrize("wrong", ["", "x" * (LONGEST + 1), "a\nb", "\x1b[31m", "caf\u00e9", "\0"])
def test_what_does_not_fit_a_log_line_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        request_id(wrong)
    assert refused.value.parameter == "request_id"
    assert refused.value.reason.isprintable()
