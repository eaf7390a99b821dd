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
_TYPE_NAMES = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}
_CONTAINER_NAMES = {tuple: "an array", list: "an array", dict: "an object"}


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
        section, _, name = path.partition(".")
        # Below a secret the name is repeated only if it looks like a field's name: it may be the
        # secret itself.
        if section in interface.secrets and name and not _FIELD_NAME.fullmatch(name):
            path = f"{section}.?"
        raise interface.invalid(path or "parameters", reason)
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
    kind = _kind_at(asked, steps)
    origin = typing.get_origin(kind)
    if origin is Literal:
        expected = f"one of {', '.join(typing.get_args(kind))}"
    elif _is_struct(kind):
        expected = "an object"
    else:
        expected = _TYPE_NAMES.get(kind) or _CONTAINER_NAMES.get(origin, "another value")
    reason = f"expected {expected}"
    if what == "missing" or what.endswith("out of range"):
        reason = f"is {'missing' if what == 'missing' else 'out of range'}; {reason}"
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
    """Makes a struct with the same names: structs stay structs, nothing else is looked into."""
    fields: list[tuple[str, Any, Any]] = []
    for name, full in field_types(struct).items():
        kind, optional = without_none(full)
        of = (*typing.get_args(kind), None)[0]
        twin: Any = msgspec.Raw
        if _is_struct(kind):
            twin = _twin(kind)
        elif typing.get_origin(kind) in (tuple, list) and _is_struct(of):
            twin = list[_twin(of)]  # type: ignore[misc]
        if optional and twin is not msgspec.Raw:
            twin = twin | None
        fields.append((name, twin, None))
    return msgspec.defstruct(struct.__name__, fields, forbid_unknown_fields=True)


def _steps(path: str) -> Iterator[str | int]:
    for step in _STEP.finditer(path):
        yield step[0] if step[1] is None else int(step[1])


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
    match value:
        case None:
            shown = "null"
        case bool():
            shown = "true" if value else "false"
        case str():
            shown = ascii(value[:_LONGEST_SHOWN])
            shown += "..." if len(value) > _LONGEST_SHOWN else ""
        case dict():
            shown = "an object"
        case list():
            shown = "an array"
        case _:
            shown = str(value)[:_LONGEST_SHOWN]
    return f"{shown}: "


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
