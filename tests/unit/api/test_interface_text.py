"""The text of the interface is made from the structs, and declares every error."""

import inspect
import re

import pytest

from cucmd.api import host_key_methods, knowledge_methods, refusals
from cucmd.varlink import Interface
from rig import interface_maker
from rig.interface_text import members


@pytest.fixture
def interface() -> Interface:
    return interface_maker.interface()


def test_text_matches_structs(interface: Interface) -> None:
    made = interface_maker.text(interface.methods)
    assert interface.description == made, "python -m rig.interface_maker makes it anew"


def error_names(interface: Interface) -> set[str]:
    return {name for kind, name in members(interface.description) if kind == "error"}


def test_every_refusal_is_declared(interface: Interface) -> None:
    sources = "".join(map(inspect.getsource, (refusals, host_key_methods, knowledge_methods)))
    named = re.findall(r"\berror\(wire_errors\.(\w+)\(", sources)
    assert named
    assert set(named) <= error_names(interface)


def test_internal_error_is_declared(interface: Interface) -> None:
    assert "InternalError" in error_names(interface)
