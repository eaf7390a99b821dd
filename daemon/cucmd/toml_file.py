"""Reads a TOML file into msgspec structs, table by table.

`cucmd` and `cucmweb` read their files with this:

    file = read(Path("/etc/cucmd/cucmd.toml"))
    limits = file.convert(("limits",), file.document.get("limits", {}), Limits)

Reading stops at the first error. It names the line, the key, the value, and what was expected. The
field of the struct decides what a key accepts: its type, the bounds of `msgspec.Meta`, and for a
string (or for each string of a list) the rule of `text`.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

# Where a value is: the names of the tables, the key, and the position if its value is a list.
KeyPath: TypeAlias = tuple[str | int, ...]
S = TypeVar("S", bound=Struct)

# Bytes. The configuration of a thousand nodes has a tenth of this. Log files, which somebody might
# give by mistake, are mostly larger.
LARGEST_FILE = 1024 * 1024
_LONGEST_SHOWN = 80

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Keys with 64 parts or more are refused, because the memory that tomllib needs grows with the
# square of the number of parts.
_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*\.[ \t]*){64}""")
# The value of a key with such a name is never shown, since somebody may have put a secret there.
_SECRET = re.compile(r"passw|secret|token|credential|sha256", re.IGNORECASE)
# The end of msgspec's messages: "Expected `int` >= 1 - at `$.jobs`", "... - at `$.hosts[2]`".
_PLACE = re.compile(r" - at `\$\.(\w+)(?:\[(\d+)\])?.*`$")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
# The type and the bound in "Expected `str | null`, got `int`" and "Expected `int` >= 1".
_EXPECTED = re.compile(r"Expected `(\w+)[^`]*`(?:, got .*)?(.*)")
_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "a string",
}


class ConfigError(Exception):
    """A file, or another source of the configuration such as the environment, has an error.

    `key` is empty if the error is about the whole file. `line` is None if it is not known.
    """

    def __init__(self, file: str, reason: str, key: str = "", line: int | None = None) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(part for part in (place, key, reason) if part))
        self.file = file
        self.line = line
        self.key = key
        self.reason = reason


def whole(least: int, most: int = 2**53) -> Meta:
    """Returns the bounds of a whole number, for `Annotated`. The default maximum is the largest
    number that JSON keeps exactly.
    """
    return Meta(ge=least, le=most, description=f"a whole number from {least} to {most}")


def text(rule: Callable[[Any], object], *, may_be_empty: bool = False) -> Meta:
    """Returns the rule of a string, for `Annotated`. The rule raises `ValueError` with a message
    that does not repeat the value. An empty string needs no rule if it `may_be_empty`.
    """
    return Meta(extra={"rule": rule, "may_be_empty": may_be_empty})


def read(path: Path) -> TomlFile:
    """Reads a file. Raises `ConfigError`, and `FileNotFoundError` or `NotADirectoryError` if it
    does not exist.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    return parse(str(path), content)


def parse(name: str, content: bytes) -> TomlFile:
    """Parses the content of a file. `name` stands for the file in errors. Raises `ConfigError`."""
    if len(content) > LARGEST_FILE:
        raise ConfigError(name, f"is larger than {LARGEST_FILE} bytes")
    try:
        written = content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(name, "is not UTF-8", line=line) from None
    if deep := _DEEP_KEY.search(written):
        line = written.count("\n", 0, deep.start()) + 1
        raise ConfigError(name, "is nested too deeply", dotted((deep[0],)), line)
    try:
        return TomlFile(name, written, tomllib.loads(written))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+),", str(error))
        line = int(found[1]) if found else written.rstrip("\n").count("\n") + 1
        raise ConfigError(name, f"is not TOML: {str(error)[:200]}", line=line) from None
    except (ValueError, RecursionError) as error:
        _refuse_extreme(name, written, error)


def _refuse_extreme(name: str, written: str, error: Exception) -> NoReturn:
    """Raises `ConfigError` with the line and key at which tomllib fails without naming a place.

    tomllib raises a plain `ValueError` for a number of thousands of digits, and `RecursionError`
    for deep nesting. The place is found by parsing more and more lines, in a binary search.
    """

    def fails(count: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:  # the lines end within a value
            return False
        except (ValueError, RecursionError):
            return True
        return False

    lines = written.split("\n")
    line = bisect_left(range(len(lines)), True, key=fails)
    before = "\n".join(lines[:line])
    headers = re.findall(r"^[ \t]*\[+([\w.\"'-]+)\]+[ \t]*(?:#.*)?$", before, re.MULTILINE)
    keys = re.findall(r"^[ \t]*([^\s=#\[\]{}]+)[ \t]*=", before, re.MULTILINE)
    key = ".".join((*headers[-1:], *keys[-1:]))[:_LONGEST_SHOWN]
    nested = isinstance(error, RecursionError)
    reason = "is nested too deeply" if nested else "a number has too many digits"
    raise ConfigError(name, reason, key, line) from None


class TomlFile(Struct, frozen=True):
    """Holds the content of a file.

    written   its text
    document  its tables and keys
    notices   lines for the log about settings that are valid, but probably not intended
    """

    name: str
    written: str = ""
    document: dict[str, Any] = {}
    notices: list[str] = []

    def convert(self, place: KeyPath, value: object, struct: type[S]) -> S:
        """Returns the struct made of the table `value` at `place`. Raises `ConfigError`."""
        table = self.table(place, value, struct.__struct_fields__)
        hints = _hints(struct)
        try:
            made = msgspec.convert(table, struct, dec_hook=_absolute_path)
        except msgspec.ValidationError as error:
            raise self._conversion_error(place, table, hints, str(error)) from None
        for key in table:
            extra = next((meta.extra for meta in _metas(hints[key]) if meta.extra), None)
            if extra is None:
                continue
            accepted: Any = getattr(made, key)
            is_list = isinstance(accepted, tuple)
            for position, element in enumerate(accepted if is_list else (accepted,)):
                if element is None or (not element and extra["may_be_empty"]):
                    continue
                try:
                    extra["rule"](element)
                except ValueError as error:
                    where = (*place, key, position) if is_list else (*place, key)
                    raise self._value_error(where, element, str(error)) from None
        return made

    def table(self, place: KeyPath, value: object, known: Iterable[str]) -> dict[str, Any]:
        """Returns `value` if it is a table that has only known keys. Raises `ConfigError`."""
        if not isinstance(value, dict):
            raise self.error(place, wrong_value(value, "expected a table"))
        names = tuple(known)
        for key in value:
            if key in names:
                continue
            advice = f"known are {', '.join(names)}"
            if _SECRET.search(key):
                advice = "secrets do not belong in this file"
            elif close := get_close_matches(key[:_LONGEST_SHOWN], names, n=1):
                advice = f"did you mean {close[0]!r}?"
            raise self.error((*place, key), f"is not known; {advice}")
        return value

    def error(self, place: KeyPath, reason: str) -> ConfigError:
        """Returns the error for the key or table at `place`."""
        return ConfigError(self.name, reason, dotted(place), self._find_line(place))

    def notice(self, place: KeyPath, reason: str) -> None:
        """Adds a line to `notices`, in the form of an error."""
        self.notices.append(str(self.error(place, reason)))

    def _conversion_error(
        self, place: KeyPath, table: Mapping[str, Any], hints: Mapping[str, Any], message: str
    ) -> ConfigError:
        """Translates msgspec's message about a table into an error in the words of this file."""
        if missing := _MISSING.match(message):
            return self.error((*place, missing[1]), "is missing")
        found = _PLACE.search(message)
        assert found is not None, message
        key, position = found.groups()
        value, hint = table[key], hints[key]
        reason = message[: found.start()]
        literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
        if expected := next((meta.description for meta in _metas(hint) if meta.description), None):
            reason = f"expected {expected}"
        elif choices := [str(choice) for part in literals for choice in get_args(part) if choice]:
            reason = f"expected one of {', '.join(choices)}"
        elif words := _EXPECTED.fullmatch(reason):
            reason = f"expected {_WORDS.get(words[1], words[1])}{words[2]}"
        if position is None:
            return self._value_error((*place, key), value, reason)
        return self._value_error((*place, key, int(position)), value[int(position)], reason)

    def _value_error(self, place: KeyPath, value: object, reason: str) -> ConfigError:
        secret = _SECRET.search([name for name in place if isinstance(name, str)][-1])
        return self.error(place, reason if secret else wrong_value(value, reason))

    def _find_line(self, place: KeyPath) -> int | None:
        """Returns the line of a key or of the header of a table. For a key that is not written, or
        in a way that this search does not find, returns the line of its table, or None.
        """
        # A number within the place stands for one of several [[tables]] of a name.
        if not place or any(isinstance(part, int) for part in place[:-1]):
            return None
        parts = [part for part in place if isinstance(part, str)]
        names = [rf"""["']?{re.escape(part)}["']?""" for part in parts]
        *tables, key = names
        begin, end = 0, len(self.written)
        if tables:
            header = re.search(rf"^[ \t]*\[{'[.]'.join(tables)}\]", self.written, re.MULTILINE)
            begin = end if header is None else header.end()
        if next_header := re.compile(r"^[ \t]*\[", re.MULTILINE).search(self.written, begin):
            end = next_header.start()
        found = re.compile(rf"^[ \t]*{key}[ \t]*=", re.MULTILINE).search(self.written, begin, end)
        if found is None:
            found = re.search(rf"^[ \t]*\[+{'[.]'.join(names)}[\].]", self.written, re.MULTILINE)
        if found is None:
            return self._find_line(tuple(parts[:-1]))
        return self.written.count("\n", 0, found.start()) + 1


def present_values(table: Mapping[str, Any], made: Struct) -> dict[str, Any]:
    """Returns the values of the keys that the table has, without the defaults of the struct."""
    return {key: getattr(made, key) for key in table}


def dotted(place: KeyPath) -> str:
    """Returns a place as it would be written in a file: `clusters.berlin.nodes[2]`."""
    written = ""
    for part in place:
        if isinstance(part, int):
            written += f"[{part}]"
            continue
        name = part[:_LONGEST_SHOWN]
        if not _BARE_KEY.fullmatch(name):
            name = json.dumps(name) if name.isascii() and name.isprintable() else ascii(name)
        written += f".{name}" if written else name
    return written


def wrong_value(value: object, reason: str) -> str:
    """Returns the value and what is wrong with it, such as `'abc': expected a number`.

    The value is shortened to one short line. The content of tables and lists is left out.
    """
    match value:
        case bool():
            shown = "true" if value else "false"
        case str():
            shown = ascii(value[:_LONGEST_SHOWN])
            shown = shown if len(value) <= _LONGEST_SHOWN else f"{shown}..."
        case dict():
            shown = "a table"
        case list() | tuple():
            shown = "a list"
        case int() if value.bit_length() > 8 * _LONGEST_SHOWN:  # str() raises for very long ones
            shown = "a number of many digits"
        case _:
            shown = str(value)[:_LONGEST_SHOWN]
    return f"{shown}: {reason}"


def _absolute_path(kind: type, value: object) -> Path:
    """Converts a string to a path, for msgspec. Raises `ValueError` if it is not absolute."""
    assert kind is Path
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("expected an absolute path")
    return Path(value)


@cache
def _hints(struct: type[Struct]) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _metas(hint: Any) -> list[Meta]:
    """Returns the `Meta` objects in `Annotated` of a type, and of the elements of a list."""
    parts = (hint, *get_args(hint))
    found = [meta for part in parts for meta in getattr(part, "__metadata__", ())]
    return [meta for meta in found if isinstance(meta, Meta)]
