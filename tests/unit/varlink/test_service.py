"""The interface `org.varlink.service`, and the tracebacks of defects."""

from collections.abc import Callable

from cucmd.varlink.connection import ServerParts
from cucmd.varlink.interface import (
    ExpectedMore,
    InterfaceNotFound,
    InvalidParameter,
    MethodNotFound,
    trace,
)
from rig.example_interface import NAME
from rig.interface_text import members, spelled

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


def test_service_text_matches_structs(held: ServerParts) -> None:
    service = held.methods.find(f"{SERVICE}.GetInfo").interface
    text = members(service.description)
    raised = [InterfaceNotFound, MethodNotFound, InvalidParameter, ExpectedMore]
    ours = {("error", error.__name__): [spelled(error)] for error in raised}
    for method in service.methods:
        ours["method", method.name] = [spelled(method.request), spelled(method.reply)]
    assert {member: text.get(member) for member in ours} == ours
    assert set(text) - set(ours) == {
        ("error", "MethodNotImplemented"),  # every interface with one of its methods has them all
        ("error", "PermissionDenied"),  # no struct: it has no field
    }


# Defects in the log: the lines of code, and no values

SECRET = "hunter" + "2"  # not in one piece in a line that a trace shows


def fail(secret: str) -> None:
    raise KeyError(secret)


def wrap(secret: str) -> None:
    try:
        fail(secret)
    except KeyError as error:
        raise ExceptionGroup(secret, [ValueError(secret)]) from error


def test_trace_hides_texts_of_errors() -> None:
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
