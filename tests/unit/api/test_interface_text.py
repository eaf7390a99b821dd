"""The interface that the socket shows is the one that outsiders were promised.

`io.cucmd.Jobs.varlink` beside this file is that promise: it may be extended, never changed.
"""

import inspect
import re
from pathlib import Path

import pytest

from cucmd.api import host_keys, refusals, structs
from cucmd.api.interface import TYPES, jobs_interface
from cucmd.varlink import Interface

PROMISED = (Path(__file__).parent / "io.cucmd.Jobs.varlink").read_text()
# What came later.
ADDED = {
    ("type", "Timeouts"): {"login": "?float"},
    ("type", "Job"): {"unsaved": "?string"},
    ("error", "CredentialNotFound"): {"cluster": "?string"},
    ("error", "StorageFailed"): {"reason": "string"},
    ("type", "HostKey"): dict.fromkeys(("node", "algorithm", "fingerprint", "line"), "string"),
    ("method", "ListHostKeys"): {},
    ("method", "AddHostKey"): {"node": "string", "key": "?string"},
    ("method", "ForgetHostKey"): {"node": "string"},
    ("error", "ScanFailed"): {"node": "string", "failure": "Failure"},
    ("error", "InternalError"): {},
}

Members = dict[tuple[str, str], list[dict[str, str]]]

_MEMBER = re.compile(r"(type|method|error) (\w+) ?(.*?)(?=(?:type|method|error) [A-Z]|\Z)")


def members(text: str) -> Members:
    """(kind, name) -> its structs, each field -> type; a method has two, the rest one."""
    bare = re.sub(r"#.*", "", text)
    _, _, body = re.sub(r"\s+", " ", bare).partition(f"interface {structs.INTERFACE} ")
    return {
        (kind, name): [fields(part) for part in rest.split("->")]
        for kind, name, rest in _MEMBER.findall(body)
    }


def fields(text: str) -> dict[str, str]:
    inside = text.strip().removeprefix("(").removesuffix(")")
    parts = re.split(r",(?![^(]*\))", inside) if inside.strip() else []
    pairs = [part.partition(":") for part in parts]
    return {name.strip(): re.sub(r" ", "", kind) for name, _, kind in pairs}


def comments(text: str) -> dict[str, str]:
    """The comment of the interface, and of each type, method and error that has one."""
    found = re.findall(r"((?:^#.*\n)+)((?:interface|type|method|error) [\w.]+)", text, re.MULTILINE)
    return {what: comment for comment, what in found}


class Methods:
    start = status = list = cancel = watch = add = forget = None


@pytest.fixture
def interface() -> Interface:
    return jobs_interface(Methods(), Methods())


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


def test_without_their_source_the_structs_still_make_an_interface(
    monkeypatch: pytest.MonkeyPatch, interface: Interface
) -> None:
    def gone(_module: object) -> str:
        raise OSError

    monkeypatch.setattr("inspect.getsource", gone)
    bare = jobs_interface(Methods(), Methods()).description
    assert "#" not in bare
    assert members(bare) == members(interface.description)


def test_no_type_is_shown_that_no_method_uses(interface: Interface) -> None:
    text = re.sub(r"#.*", "", interface.description)
    for struct in TYPES:
        assert len(re.findall(rf"\b{struct.__name__}\b", text)) > 1, struct


def errors_of(interface: Interface) -> set[str]:
    return set(re.findall(r"^error (\w+)", interface.description, re.MULTILINE))


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
