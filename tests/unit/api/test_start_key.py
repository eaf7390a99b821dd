"""The key of a call: the caller's own, with a digest of what was requested."""

import pytest
from msgspec.structs import replace

from cucmd.api.start_key import start_key
from cucmd.config import InvalidValue
from cucmd.job.asked import Collection, Login
from cucmd.job.work import StartRequest
from cucmd.protocol.jobs import RetryRequest


def test_the_digest_of_a_key_leaves_out_password_and_request_id() -> None:
    asked = StartRequest(
        ("a",),
        Login("administrator", "secret"),
        Collection(paths=("x",)),
        start_key="k",
        labels={"x": "1", "y": "2"},
    )
    other_order = replace(asked, labels={"y": "2", "x": "1"}, request_id="r")
    other_password = replace(asked, login=Login("administrator", "another"))
    same = {start_key(1000, one) for one in (asked, other_order, other_password)}
    assert len(same) == 1
    assert start_key(1000, replace(asked, nodes=("b",))) not in same
    assert start_key(1000, RetryRequest("aaaa", start_key="k")) not in same


@pytest.mark.parametrize("wrong", ["", "ü", "a\n", "x" * 129])
def test_a_key_is_short_and_printable(wrong: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        start_key(1000, RetryRequest("aaaa", start_key=wrong))
    assert caught.value.parameter == "start_key"


def test_without_a_key_there_is_none() -> None:
    assert start_key(1000, RetryRequest("aaaa")) is None
