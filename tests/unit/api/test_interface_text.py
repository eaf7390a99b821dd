"""The text of the interface: it matches the structs, and is compatible with the first version.

`fixtures/io.cucmd.Jobs.first.varlink` is the text of the first version. Nothing of it may
be missing or differ; the interface may have more.
"""

import inspect
import re
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from cucmd.api import host_keys, knowledge, refusals
from cucmd.job.asked import Timeouts
from cucmd.varlink import Interface
from rig import interface_maker
from rig.interface_text import comments, members, spelled

FIRST_VERSION = (Path(__file__).parent / "fixtures/io.cucmd.Jobs.first.varlink").read_text()


@pytest.fixture
def interface() -> Interface:
    return interface_maker.interface()


def test_the_text_is_made_from_the_structs(interface: Interface) -> None:
    made = interface_maker.text(interface.methods)
    assert interface.description == made, "python -m rig.interface_maker makes it anew"


class Thing(msgspec.Struct):
    colour: Literal["red", "green"]
    seen: datetime
    parts: tuple[Timeouts, ...] | None = None
    sizes: dict[str, float] | None = None


def test_structs_are_spelled_as_in_an_interface() -> None:
    assert spelled(Thing) == {
        "colour": "(red,green)",
        "seen": "string",
        "parts": "?[]Timeouts",
        "sizes": "?[string]float",
    }


@pytest.mark.parametrize("kind", [int | str, bytearray, object])
def test_a_type_without_a_form_on_the_wire_raises(kind: object) -> None:
    wrong = msgspec.defstruct("Wrong", [("field", kind)])
    with pytest.raises(TypeError, match="no form"):
        spelled(wrong)


def test_the_text_of_the_first_version_is_parsed_completely() -> None:
    names = [name for _, name in members(FIRST_VERSION)]
    assert len(names) == 7 + 5 + 7
    assert members(FIRST_VERSION)["method", "Cancel"] == [
        {"job_id": "string", "nodes": "?[]string"},
        {
            "job_id": "string",
            "status": "(queued,running,succeeded,partial,failed,cancelled)",
            "cancelled": "bool",
            "message": "string",
        },
    ]


def test_everything_of_the_first_version_is_there_with_the_same_type_in_the_same_order(
    interface: Interface,
) -> None:
    ours, first = members(interface.description), members(FIRST_VERSION)
    assert [name for name in ours if name in first] == list(first)
    for member, parts in first.items():
        for our_fields, first_fields in zip(ours[member], parts, strict=True):
            kept = {name: kind for name, kind in our_fields.items() if name in first_fields}
            if member == ("method", "Start") and "collection" in kept:
                # There is other work than a collection now. Whoever gives one is right still.
                assert kept["collection"] == "?Collection"
                kept["collection"] = "Collection"
            assert list(kept.items()) == list(first_fields.items()), member


def test_the_comments_begin_as_those_of_the_first_version(interface: Interface) -> None:
    ours = comments(interface.description)
    for what, comment in comments(FIRST_VERSION).items():
        assert words(ours[what])[: len(words(comment))] == words(comment)


def words(comment: str) -> list[str]:
    return comment.replace("#", "").split()


def error_names(interface: Interface) -> set[str]:
    return {name for kind, name in members(interface.description) if kind == "error"}


def test_every_refusal_of_the_methods_is_among_the_errors(interface: Interface) -> None:
    sources = "".join(map(inspect.getsource, (refusals, host_keys, knowledge)))
    named = re.findall(r"\berror\(wire_errors\.(\w+)\(", sources)
    assert named
    assert set(named) <= error_names(interface)


def test_the_error_for_a_defect_is_among_the_errors(interface: Interface) -> None:
    assert interface.internal_error == "io.cucmd.Jobs.InternalError"
    assert "InternalError" in error_names(interface)


def test_methods_with_an_effect_are_marked(interface: Interface) -> None:
    assert {one.name for one in interface.methods if one.effect} == {
        "Start",
        "Stop",
        "Retry",
        "Label",
        "Delete",
        "Prune",
        "Cancel",
        "AddHostKey",
        "ForgetHostKey",
        "Reload",
    }
    assert {one.name for one in interface.methods if one.streaming} == {
        "Watch",
        "Files",
        "Verify",
        "Transcript",
        "Output",
    }
