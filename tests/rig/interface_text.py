"""Parses the text of an interface, and describes structs in the same form, to compare both."""

import re
import typing
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec

from cucmd.varlink import Interface
from cucmd.varlink.requests import field_types, without_none

Struct = type[msgspec.Struct]
Fields = dict[str, str]
# (kind, name) -> its structs, each field -> type: a method has two, a type or an error one.
Members = dict[tuple[str, str], list[Fields]]

_MEMBER = re.compile(r"(type|method|error) (\w+) ?(.*?)(?=(?:type|method|error) [A-Z]|\Z)")
_OF_JSON: dict[str, Any] = {
    **{"string": str, "bool": bool, "int": int, "float": (int, float), "object": object}
}
_PLAIN = {
    str: "string",
    bytes: "string",
    bool: "bool",
    int: "int",
    float: "float",
    datetime: "string",
}


def members(text: str) -> Members:
    """What the text of an interface declares, in its order."""
    bare = re.sub(r"#.*", "", text)
    _, _, body = re.sub(r"\s+", " ", bare).partition(" interface ")
    return {
        (kind, name): [_fields(part) for part in rest.split("->")]
        for kind, name, rest in _MEMBER.findall(body)
    }


def _fields(text: str) -> Fields:
    inside = text.strip().removeprefix("(").removesuffix(")")
    parts = re.split(r",(?![^(]*\))", inside) if inside.strip() else []
    pairs = [part.partition(":") for part in parts]
    return {name.strip(): kind.replace(" ", "") for name, _, kind in pairs}


def comments(text: str) -> dict[str, str]:
    """The comment of the interface, and of each type, method and error that has one."""
    found = re.findall(r"((?:^#.*\n)+)((?:interface|type|method|error) [\w.]+)", text, re.MULTILINE)
    return {what: comment for comment, what in found}


def methods_and_types(interface: Interface) -> Members:
    """What the structs of the methods say, and the structs within them, as `members` would."""
    found: Members = {}
    for method in interface.methods:
        found["method", method.name] = [spelled(method.request), spelled(method.reply)]
        batches = [method.batch] if method.batch else []
        for struct in (*batches, *_within((method.request, method.reply, *batches))):
            if struct.__struct_fields__:
                found["type", struct.__name__] = [spelled(struct)]
    return found


def errors(structs: Iterable[Struct]) -> Members:
    return {("error", struct.__name__): [spelled(struct)] for struct in structs}


def spelled(struct: Struct) -> Fields:
    """Raises `TypeError` for a field that has no form on the wire."""
    return {name: _kind(kind) for name, kind in field_types(struct).items()}


def _kind(kind: Any) -> str:
    kind, nullable = without_none(kind)
    return "?" * nullable + _kind_itself(kind)


def _kind_itself(kind: Any) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind.__name__ if kind.__struct_fields__ else "object"
    arguments = typing.get_args(kind)
    match typing.get_origin(kind), arguments:
        case (origin, _) if origin is Literal:
            return f"({','.join(arguments)})"
        case (origin, (item, last)) if origin is tuple and last is Ellipsis:
            return f"[]{_kind(item)}"
        case (origin, (key, item)) if origin is dict and item is Any:
            return "object"
        case (origin, (key, item)) if origin is dict and key is str:
            return f"[string]{_kind(item)}"
    raise TypeError(f"{kind} has no form in an interface")


def _within(structs: Iterable[Struct]) -> Iterable[Struct]:
    """The structs that their fields hold, however deep."""
    for struct in structs:
        for kind in field_types(struct).values():
            inner, _ = without_none(kind)
            for one in (inner, *typing.get_args(inner)):
                if isinstance(one, type) and issubclass(one, msgspec.Struct):
                    yield one
                    yield from _within([one])


class Declared:
    """What the text of an interface declares, to compare values of JSON with it."""

    def __init__(self, text: str) -> None:
        declared = members(text)
        self._types = {name: parts[-1] for (_, name), parts in declared.items()}

    def wrong(self, value: object, kind: str) -> str | None:
        """Where `value` is not of that type, or None. The name of a method is that of its reply.
        What may be left out may be null too.
        """
        if kind.startswith("?"):
            return None if value is None else self.wrong(value, kind[1:])
        if kind.startswith("[]") or kind.startswith("[string]"):
            inner = kind.partition("]")[2]
            if not isinstance(value, list if kind.startswith("[]") else dict):
                return f"{value!r}: expected {kind}"
            values = value if isinstance(value, list) else value.values()
            return next((why for one in values if (why := self.wrong(one, inner))), None)
        if kind.startswith("("):
            return None if value in kind[1:-1].split(",") else f"{value!r}: expected {kind}"
        if kind in _OF_JSON:
            right = isinstance(value, _OF_JSON[kind]) and isinstance(value, bool) == (
                kind == "bool"
            )
            return None if right or kind == "object" else f"{value!r}: expected {kind}"
        return self._wrong_object(value, kind)

    def _wrong_object(self, value: object, kind: str) -> str | None:
        fields = self._types[kind]
        if not isinstance(value, dict):
            return f"{value!r}: expected {kind}"
        if unknown := value.keys() - fields.keys():
            return f"{kind} has no {unknown}"
        for name, of in fields.items():
            if why := self.wrong(value.get(name), of):
                return f"{kind}.{name}: {why}"
        return None
