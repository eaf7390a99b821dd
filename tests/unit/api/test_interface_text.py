"""The interface that the socket shows: as its structs are, and as outsiders were promised.

`fixtures/io.cucmd.Jobs.first.varlink` is that promise, the text of the first version: it may be
extended, never changed.
"""

import inspect
import re
from pathlib import Path

import msgspec
import pytest

from cucmd.api import host_keys, refusals, structs
from cucmd.api.interface import jobs_interface
from cucmd.varlink import Interface
from rig.interface_text import comments, errors, members, methods_and_types

PROMISED = (Path(__file__).parent / "fixtures/io.cucmd.Jobs.first.varlink").read_text()
# What came later.
ADDED = {
    ("type", "Timeouts"): {"login": "?float"},
    ("type", "Job"): {"unsaved": "?string", "request_id": "?string"},
    ("method", "Start"): {"request_id": "?string"},
    ("method", "Cancel"): {"request_id": "?string"},
    ("error", "CredentialNotFound"): {"cluster": "?string"},
    ("error", "StorageFailed"): {"reason": "string"},
    ("type", "HostKey"): dict.fromkeys(("node", "algorithm", "fingerprint", "line"), "string"),
    ("method", "ListHostKeys"): {},
    ("method", "AddHostKey"): {"node": "string", "key": "?string"},
    ("method", "ForgetHostKey"): {"node": "string"},
    ("error", "ScanFailed"): {"node": "string", "failure": "Failure"},
    ("error", "InternalError"): {},
}


class Methods:
    start = status = list = cancel = watch = add = forget = None


@pytest.fixture
def interface() -> Interface:
    return jobs_interface(Methods(), Methods())


def declared() -> list[type[msgspec.Struct]]:
    return [
        one
        for one in vars(structs).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one is not msgspec.Struct
    ]


def test_the_text_says_what_the_structs_say(interface: Interface) -> None:
    ours = methods_and_types(interface)
    shown = {name for kind, name in ours if kind == "type"}
    for method in interface.methods:
        shown |= {method.request.__name__, method.reply.__name__}
    ours |= errors(one for one in declared() if one.__name__ not in shown)
    text = members(interface.description)
    assert text == ours
    for member, parts in text.items():
        assert [list(part) for part in parts] == [list(part) for part in ours[member]], "the order"


def test_the_text_that_was_promised_is_read_whole() -> None:
    names = [name for _, name in members(PROMISED)]
    assert len(names) == 7 + 5 + 7
    assert members(PROMISED)["method", "Cancel"] == [
        {"job_id": "string", "nodes": "?[]string"},
        {
            "job_id": "string",
            "status": "(queued,running,succeeded,partial,failed,cancelled)",
            "cancelled": "bool",
            "message": "string",
        },
    ]


def test_everything_promised_is_there_with_the_same_type_in_the_same_order(
    interface: Interface,
) -> None:
    ours, promised = members(interface.description), members(PROMISED)
    assert [name for name in ours if name in promised] == list(promised)
    for member, parts in promised.items():
        for our_fields, promised_fields in zip(ours[member], parts, strict=True):
            kept = {name: kind for name, kind in our_fields.items() if name in promised_fields}
            assert list(kept.items()) == list(promised_fields.items()), member


def test_what_is_there_beyond_it_is_known(interface: Interface) -> None:
    ours, promised = members(interface.description), members(PROMISED)
    added = {}
    for member, parts in ours.items():
        known = promised.get(member, [{}] * len(parts))
        more = [
            {name: kind for name, kind in our_fields.items() if name not in promised_fields}
            for our_fields, promised_fields in zip(parts, known, strict=True)
        ]
        if any(more) or member not in promised:
            added[member] = more[0]
    assert added == ADDED


def test_the_comments_are_those_that_were_promised(interface: Interface) -> None:
    ours = comments(interface.description)
    assert {what: ours.get(what) for what in comments(PROMISED)} == comments(PROMISED)


def errors_of(interface: Interface) -> set[str]:
    return {name for kind, name in members(interface.description) if kind == "error"}


def test_every_refusal_of_the_methods_is_among_the_errors(interface: Interface) -> None:
    named = re.findall(
        r"\berror\(structs\.(\w+)\(", inspect.getsource(refusals) + inspect.getsource(host_keys)
    )
    assert named
    assert set(named) <= errors_of(interface)


def test_the_error_for_a_defect_is_among_the_errors(interface: Interface) -> None:
    assert interface.internal_error == "io.cucmd.Jobs.InternalError"
    assert "InternalError" in errors_of(interface)


def test_what_changes_something_is_marked_so(interface: Interface) -> None:
    assert {one.name for one in interface.methods if one.effect} == {
        "Start",
        "Cancel",
        "AddHostKey",
        "ForgetHostKey",
    }
    assert {one.name for one in interface.methods if one.streaming} == {"Watch"}
