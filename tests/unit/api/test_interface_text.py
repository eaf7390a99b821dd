"""The text of the interface: it matches the structs, and is compatible with the first version.

`fixtures/io.cucmd.Jobs.first.varlink` is the text of the first version. Nothing of it may
be missing or differ; the interface may have more.
"""

import inspect
import re
from datetime import datetime
from typing import Literal

import msgspec
import pytest

from cucmd.api import host_key_methods, knowledge_methods, refusals
from cucmd.job.asked import Timeouts
from cucmd.varlink import Interface
from rig import interface_maker
from rig.interface_text import members, spelled


@pytest.fixture
def interface() -> Interface:
    return interface_maker.interface()


def test_the_text_is_made_from_the_structs(interface: Interface) -> None:
    made = interface_maker.text(interface.methods)
    assert interface.description == made, "python -m rig.interface_maker makes it anew"


def test_every_type_of_a_field_is_declared(interface: Interface) -> None:
    declared = {name for kind, name in members(interface.description) if kind == "type"}
    lines = [one for one in interface.description.splitlines() if not one.startswith("#")]
    used = set(re.findall(r": \??(?:\[\w*\])*([A-Z]\w+)", "\n".join(lines)))
    assert used <= declared


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


def error_names(interface: Interface) -> set[str]:
    return {name for kind, name in members(interface.description) if kind == "error"}


def test_every_refusal_of_the_methods_is_among_the_errors(interface: Interface) -> None:
    sources = "".join(map(inspect.getsource, (refusals, host_key_methods, knowledge_methods)))
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
