"""Keys and ids that a caller chooses: their form, and which requests a key identifies."""

import msgspec
import pytest
from msgspec.structs import replace

from cucmd.api.request_checks import LONGEST, short_text, start_key
from cucmd.config import InvalidValue
from cucmd.job.request import OnBehalfOf
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login
from cucmd.protocol.jobs import RetryRequest


def test_fingerprint_leaves_out_password() -> None:
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


def test_later_fields_keep_the_fingerprint() -> None:
    later = msgspec.defstruct(
        "Collection", [("added", int | None, None)], bases=(Collection,), frozen=True
    )
    now = StartRequest(("a",), Login("administrator"), Collection(paths=("x",)), start_key="k")
    unset, is_set = (replace(now, collection=later(paths=("x",), added=one)) for one in (None, 1))
    assert start_key(1000, unset) == start_key(1000, now) != start_key(1000, is_set)


def test_each_person_has_own_keys() -> None:
    asked = RetryRequest("aaaa", start_key="k")
    for_alice = replace(asked, on_behalf_of=OnBehalfOf("alice", "operate"))
    alice, bob = (start_key(1000, for_alice, name) for name in ("alice", "bob"))
    names = {(key.owner, key.name) for key in (start_key(1000, asked), alice, bob)}
    assert len(names) == 3
    assert start_key(1000, for_alice, "alice") == start_key(1000, asked, "alice")
    with pytest.raises(InvalidValue):  # as the key of the user itself
        start_key(1000, replace(asked, start_key=alice.name))


def test_long_key_is_refused() -> None:
    with pytest.raises(InvalidValue) as caught:
        start_key(1000, RetryRequest("aaaa", start_key="x" * 129))
    assert caught.value.parameter == "start_key"


@pytest.mark.parametrize("own", ["x", "case 698123456/2", "~" * LONGEST])
def test_id_of_caller_is_kept(own: str) -> None:
    assert short_text("request_id", own) == own


@pytest.mark.parametrize("wrong", ["", "x" * (LONGEST + 1), "a\nb", "\x1b[31m", "caf\u00e9", "\0"])
def test_unprintable_id_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        short_text("request_id", wrong)
    assert refused.value.parameter == "request_id"
    assert refused.value.reason.isprintable()


def test_request_without_key() -> None:
    assert start_key(1000, RetryRequest("aaaa")) is None
