"""Parses the text of an interface, and compares structs and JSON values with it."""

import re
from typing import Any

import msgspec

from cucmd.varlink.request_decoding import field_types
from rig import interface_maker

Fields = dict[str, str]
# (kind, name) -> its structs, as {field: type}. A method has two structs, a type or an error has
# one.
Members = dict[tuple[str, str], list[Fields]]

_MEMBER = re.compile(r"(type|method|error) (\w+) ?(.*?)(?=(?:type|method|error) [A-Z]|\Z)")
_OF_JSON: dict[str, Any] = {
    **{"string": str, "bool": bool, "int": int, "float": (int, float), "object": object}
}


def members(described: str) -> Members:
    """Returns the types, methods and errors that the text of an interface declares, in order."""
    bare = re.sub(r"#.*", "", described)
    _, _, body = re.sub(r"\s+", " ", bare).partition(" interface ")
    return {
        (kind, name): [_fields(part) for part in rest.split("->")]
        for kind, name, rest in _MEMBER.findall(body)
    }


def _fields(part: str) -> Fields:
    inside = part.strip().removeprefix("(").removesuffix(")")
    parts = re.split(r",(?![^(]*\))", inside) if inside.strip() else []
    pairs = [one.partition(":") for one in parts]
    return {name.strip(): kind.replace(" ", "") for name, _, kind in pairs}


def comments(described: str) -> dict[str, str]:
    """Returns the comments of the interface and of its types, methods and errors."""
    found = re.findall(
        r"((?:^#.*\n)+)((?:interface|type|method|error) [\w.]+)", described, re.MULTILINE
    )
    return {what: comment for comment, what in found}


def spelled(struct: type[msgspec.Struct]) -> Fields:
    """Returns the fields of a struct as an interface spells them."""
    kinds = field_types(struct).items()
    return {name: interface_maker.spelled(kind).replace(" ", "") for name, kind in kinds}


class Declared:
    """Holds what an interface declares, and compares JSON values with it."""

    def __init__(self, described: str) -> None:
        declared = members(described)
        self._types = {name: parts[-1] for (_, name), parts in declared.items()}

    def wrong(self, value: object, kind: str) -> str | None:
        """Says why `value` is not of the type `kind`, or returns None if it is.

        The name of a method means its reply. A field that may be left out may be null, too.
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
