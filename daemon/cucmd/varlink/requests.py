"""PURE. A call's parameters become the method's struct, or an error that says what is wrong.

A request with a field that its struct has not is refused: a misspelt limit must not be no limit.
That is checked here and not by the structs (`forbid_unknown_fields`), because one struct may be
part of a request and of a reply, and whoever reads a reply must read past fields that came later.

A reason repeats a value only if it is one plain value, short, and not below a name that the
interface calls secret.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union

import msgspec

from cucmd.varlink.framing import UNREADABLE, BadFrame, field_of, wrong_field
from cucmd.varlink.interface import Interface

_LONGEST_SHOWN = 80
_FIELD_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")
# Bytes of parameters of which a wrong value is shown: to find it, all are decoded once more.
_LONGEST_SEARCHED = 16 * 1024
# A field, an index, or `[...]`: some value of an object without fixed fields, of which msgspec does
# not say which.
_STEP = re.compile(r"\[\.\.\.\]|[^.\[\]]+|\[([0-9]+)\]")
_SOME_VALUE = "[...]"


def decode_request(
    decoder: msgspec.json.Decoder[Any], parameters: msgspec.Raw, interface: Interface
) -> msgspec.Struct:
    """Returns the request. Raises the interface's error for an invalid one, `BadFrame` for invalid
    JSON.
    """
    asked: Any = decoder.type
    unknown = _unknown_field(parameters, asked)
    if unknown is not None:
        path, struct = unknown
        names = ", ".join(field_types(struct))
        reason = f"is unknown; expected {f'one of {names}' if names else 'no fields'}"
        raise interface.invalid(_named(path, interface) or "parameters", reason)
    try:
        return typing.cast(msgspec.Struct, decoder.decode(parameters))
    except msgspec.ValidationError as error:
        where, what = wrong_field(error)
    except UNREADABLE:
        raise BadFrame("not JSON, or too deep") from None
    if not where and bytes(parameters) == b"null":  # some clients send it for "no parameters"
        return decode_request(decoder, msgspec.Raw(b"{}"), interface)
    if not where:
        raise interface.invalid("parameters", "expected an object")
    steps = tuple(_steps(where))
    reason = _reason(what, _kind_at(asked, steps))
    if what != "missing" and steps[0] not in interface.secrets:
        reason = _value_at(parameters, steps) + reason
    raise interface.invalid(where, reason)


def _unknown_field(value: msgspec.Raw, struct: type[msgspec.Struct]) -> tuple[str, Any] | None:
    """Finds the first field in `value` that `struct` has not: its path, and the struct that has no
    such field. None without one, and for what is wrong otherwise: the decoder says what.
    """
    try:
        _names_only(struct).decode(value)
    except msgspec.ValidationError as error:
        parent, name, what = field_of(error)
    except UNREADABLE:
        return None
    else:
        return None
    if what != "unknown":
        return None
    kind = _kind_at(struct, tuple(_steps(parent)))
    # A name can look like the place of another field, and then the place may not exist.
    within = kind if _is_struct(kind) else struct
    return f"{parent}.{name}" if parent else name or "", within


@functools.cache
def _names_only(struct: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    """Makes a decoder that refuses unknown fields and skips the values of the others."""
    return msgspec.json.Decoder(_twin(struct))


@functools.cache
def _twin(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    fields = [(name, _twin_kind(kind), None) for name, kind in field_types(struct).items()]
    return msgspec.defstruct(struct.__name__, fields, forbid_unknown_fields=True)


def _twin_kind(kind: Any) -> Any:
    """Makes the type of a field of the twin: structs stay structs, nothing else is looked into."""
    kind, optional = without_none(kind)
    of = (*typing.get_args(kind), None)[0]
    if _is_struct(kind):
        kind = _twin(kind)
    elif typing.get_origin(kind) in (tuple, list) and _is_struct(of):
        kind = list[_twin(of)]  # type: ignore[misc]
    else:
        return msgspec.Raw
    return kind | None if optional else kind


def _named(path: str, interface: Interface) -> str:
    """Returns the path of an unknown field. Below a secret the name is repeated only if it looks
    like a field's name: it may be the secret itself.
    """
    section, _, name = path.partition(".")
    if section not in interface.secrets or not name or _FIELD_NAME.fullmatch(name):
        return path
    return f"{section}.?"


def _steps(path: str) -> Iterator[str | int]:
    for step in _STEP.finditer(path):
        yield step[0] if step[1] is None else int(step[1])


def _reason(what: str, kind: Any) -> str:
    expected = _type_name(kind)
    if what == "missing":
        return f"is missing; expected {expected}"
    if what.endswith("out of range"):
        return f"is out of range; expected {expected}"
    return f"expected {expected}"


def _value_at(parameters: msgspec.Raw, steps: tuple[str | int, ...]) -> str:
    """Shows the value, as the beginning of a reason; "" where there is none to show."""
    if len(bytes(parameters)) > _LONGEST_SEARCHED:
        return ""
    try:
        value = msgspec.json.decode(parameters)
        for step in steps:
            value = value[step]
    except (*UNREADABLE, LookupError, TypeError):
        return ""
    return f"{_shown(value)}: "


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            text = ascii(value[:_LONGEST_SHOWN])
            return text if len(value) <= _LONGEST_SHOWN else f"{text}..."
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            return str(value)[:_LONGEST_SHOWN]


# What a struct's fields are made of.


@functools.cache
def field_types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Returns field -> its type, as the struct was written and in its order."""
    hints = typing.get_type_hints(struct)
    return {name: hints[name] for name in struct.__struct_fields__}


def without_none(kind: Any) -> tuple[Any, bool]:
    """Returns a type without its `| None`, and whether it had one."""
    if typing.get_origin(kind) not in (Union, UnionType):
        return kind, False
    kinds = typing.get_args(kind)
    left = [one for one in kinds if one is not type(None)]
    if len(left) != 1:
        raise TypeError(f"{kind} has no form on the wire")
    return left[0], len(left) < len(kinds)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _kind_at(struct: type[msgspec.Struct], steps: tuple[str | int, ...]) -> Any:
    """Returns the type at that place; None where the structs know of no such place."""
    kind: Any = struct
    for step in steps:
        if step == _SOME_VALUE:
            kind = (*typing.get_args(kind), None, None)[1]
        elif isinstance(step, int):
            kind = (*typing.get_args(kind), None)[0]
        else:
            kind = field_types(kind).get(step) if _is_struct(kind) else None
        kind, _ = without_none(kind)
    return kind


_TYPE_NAMES = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}
_CONTAINER_NAMES = {tuple: "an array", list: "an array", dict: "an object"}


def _type_name(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return f"one of {', '.join(typing.get_args(kind))}"
    if _is_struct(kind):
        return "an object"
    return _TYPE_NAMES.get(kind) or _CONTAINER_NAMES.get(origin, "another value")
