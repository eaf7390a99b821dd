"""What a server says of itself, and the text of an interface."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec
import pytest

from cucmd.varlink import Method
from cucmd.varlink.idl import comments_in, describe
from rig.example_interface import NAME, Example, Nothing, Text

SERVICE = "org.varlink.service"


async def test_get_info(connect: Callable) -> None:
    assert await connect().call(f"{SERVICE}.GetInfo") == {
        "parameters": {
            "vendor": "Example",
            "product": "Test",
            "version": "1",
            "url": "https://example.com",
            "interfaces": [SERVICE, NAME],
        }
    }


async def test_the_text_of_an_interface(connect: Callable, example: Example) -> None:
    reply = await connect().call(f"{SERVICE}.GetInterfaceDescription", {"interface": NAME})
    assert reply["parameters"]["description"] == example.interface().description


async def test_the_text_of_the_service_itself(connect: Callable) -> None:
    reply = await connect().call(f"{SERVICE}.GetInterfaceDescription", {"interface": SERVICE})
    text = reply["parameters"]["description"]
    assert "interface org.varlink.service" in text
    assert "method GetInterfaceDescription(interface: string) -> (description: string)" in text
    for error in (
        "InterfaceNotFound (interface: string)",
        "MethodNotFound (method: string)",
        "MethodNotImplemented (method: string)",
        "InvalidParameter (parameter: string)",
        "PermissionDenied ()",
        "ExpectedMore ()",
    ):
        assert f"error {error}\n" in text


async def test_the_text_of_no_interface(connect: Callable) -> None:
    reply = await connect().call(f"{SERVICE}.GetInterfaceDescription", {"interface": "a.b"})
    assert reply == {"error": f"{SERVICE}.InterfaceNotFound", "parameters": {"interface": "a.b"}}


@pytest.mark.parametrize("parameters", [{}, {"interface": 5}])
async def test_a_wrong_parameter_is_named(connect: Callable, parameters: dict) -> None:
    reply = await connect().call(f"{SERVICE}.GetInterfaceDescription", parameters)
    assert reply == {
        "error": f"{SERVICE}.InvalidParameter",
        "parameters": {"parameter": "interface"},
    }


async def test_too_many_has_the_word_of_the_first_interface_that_has_one(
    connect: Callable,
) -> None:
    from cucmd.varlink import Limits
    from cucmd.varlink.quota import Quota

    peer = connect(quota=Quota(Limits(requests=0), frozenset()))
    assert (await peer.call(f"{SERVICE}.GetInfo"))["error"] == f"{NAME}.TooMany"


class Thing(msgspec.Struct):
    colour: Literal["red", "green"]
    seen: datetime
    parts: tuple[Text, ...] | None = None
    sizes: dict[str, float] | None = None


COMMENTS = {
    "": "About things.",
    "Thing": "A thing.\n\nOf any kind.",
    "Thing.seen": "When.",
    "Text": "Looks one up.",
}


def test_an_interface_is_written_from_its_structs() -> None:
    methods = [Method("Find", Text, Thing, None)]
    assert describe("io.example.Things", (Text, Thing), methods, {"Lost": Nothing}, COMMENTS) == (
        """\
# About things.
interface io.example.Things

# Looks one up.
type Text (
  text: string
)

# A thing.
#
# Of any kind.
type Thing (
  colour: (red, green),
  # When.
  seen: string,
  parts: ?[]Text,
  sizes: ?[string]float
)

# Looks one up.
method Find(text: string) -> (
  colour: (red, green),
  # When.
  seen: string,
  parts: ?[]Text,
  sizes: ?[string]float
)

error Lost ()
"""
    )


def test_a_struct_that_is_not_listed_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="Text"):
        describe("a.b", (Thing,), [], {}, {})


@pytest.mark.parametrize("kind", [int | str, bytes, object])
def test_what_has_no_form_on_the_wire_is_a_mistake(kind: object) -> None:
    wrong = msgspec.defstruct("Wrong", [("field", kind)])
    with pytest.raises(TypeError, match="no form"):
        describe("a.b", (wrong,), [], {}, {})


def test_comments_are_those_right_above() -> None:
    source = '''
# Not of anything.

# Of the name.
NAME = "x"


# Of A,
#   in two lines.
class A:
    """Not a comment."""

    # Of a field.
    field: int
    other: int  # beside it, and so for readers of the source


class B:
    pass
'''
    assert comments_in(source) == {
        "NAME": "Of the name.",
        "A": "Of A,\n  in two lines.",
        "A.field": "Of a field.",
    }
