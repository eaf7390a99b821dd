"""PURE. Makes a struct of a file in TOML, or says what is wrong: the key, its value, what was
expected.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_LONGEST_SHOWN = 80
# As msgspec ends its messages: "Expected `int` >= 1 - at `$.limits.body`", "... at `$.hosts[2]`".
_PLACE = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_STEP = re.compile(r"\.?(?:\[(?P<position>\d+)\]|(?P<key>[^.\[]+))")


class UnusableFile(Exception):
    """A file cannot be used. The text names the file, and what is wrong in it."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")


def read_toml(text: str, struct: type[_Struct], file: str) -> _Struct:
    """Raises `UnusableFile`. `file` is its name, for the error."""
    try:
        document = tomllib.loads(text)
        return msgspec.convert(document, struct)
    except tomllib.TOMLDecodeError as error:
        raise UnusableFile(file, str(error)) from None
    except msgspec.ValidationError as error:
        raise UnusableFile(file, _said(str(error), document, struct)) from None


def wrong(key: str, value: object, expected: str) -> ValueError:
    """Makes what a struct raises in `__post_init__` for what msgspec's constraints let through."""
    return ValueError(f"{key}: {_shown(value)}: expected {expected}")


def _said(message: str, document: dict[str, Any], struct: type[msgspec.Struct]) -> str:
    """Says msgspec's message with the key before it, the value, and what was expected."""
    place = _PLACE.search(message)
    reason = message[: place.start()] if place else message
    path = place["path"] if place else ""
    if unknown := _UNKNOWN.fullmatch(reason):
        return f"{path}{'.' * bool(path)}{unknown[1]}: there is no such key"
    if reason.startswith("Expected "):
        expected = reason.removeprefix("Expected ").replace("`", "")
    elif choices := _choices(struct, path):
        expected = f"one of {', '.join(choices)}"
    elif re.match(r"\w+: ", reason):  # from `wrong`: it begins with a key of the table at this path
        return f"{path}{'.' * bool(path)}{reason}"
    else:
        return f"{path}: {reason}" if path else reason
    return f"{path}: {_shown(_at(document, path))}: expected {expected}"


def _choices(struct: type[msgspec.Struct], path: str) -> list[str]:
    """Lists the values that the field at this path may have, if it may have only these (and "")."""
    kind: Any = inspect.type_info(struct)
    for step in _STEP.finditer(path):
        if step["position"]:
            kind = kind.item_type
        else:
            kind = next(one.type for one in kind.fields if one.encode_name == step["key"])
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    literals = [one for one in kinds if isinstance(one, inspect.LiteralType)]
    return [str(value) for one in literals for value in one.values if value]


def _at(document: Any, path: str) -> Any:
    for step in _STEP.finditer(path):
        document = document[int(step["position"]) if step["position"] else step["key"]]
    return document


def _shown(value: object) -> str:
    """Writes it on one line, short, and without the content of tables."""
    if isinstance(value, dict):
        return "a table"
    text = ascii(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
