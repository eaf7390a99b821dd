"""Reads a file in TOML into structs of msgspec, table by table, or says what is wrong with it.

`cucmd` and `cucmweb` read their files with this:

    file = read(Path("/etc/cucmd/cucmd.toml"))
    limits = file.convert(("limits",), file.document.get("limits", {}), Limits)

The first mistake ends it: the error has the line, the key, the value, and what was expected. A key
accepts what its field in the struct says: the type, the bounds of `msgspec.Meta`, and the rule of
`text`, which is for strings, or for each string of a list.
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

# The names of tables and a key, and the position in its list.
KeyPath: TypeAlias = tuple[str | int, ...]
S = TypeVar("S", bound=Struct)

# Bytes. A configuration of a thousand nodes has a tenth of it; most logs, given by mistake, have
# more.
LARGEST_FILE = 1024 * 1024
_LONGEST_SHOWN = 80

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# tomllib needs memory that grows with the square of the parts of a dotted key.
_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*\.[ \t]*){64}""")
# The value of such a key is never shown: it may be a secret that somebody wrote in its place.
_SECRET = re.compile(r"passw|secret|token|credential|sha256", re.IGNORECASE)
# As msgspec ends its messages: "Expected `int` >= 1 - at `$.jobs`", "... - at `$.hosts[2]`".
_PLACE = re.compile(r" - at `\$\.(\w+)(?:\[(\d+)\])?.*`$")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
# "Expected `str | null`, got `int`", "Expected `int` >= 1": the type, and what more is expected.
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
    """A file, or another part of the configuration such as the environment, cannot be used.

    `key` is empty if the file as a whole is wrong, and `line` is None if it is not known.
    """

    def __init__(self, file: str, reason: str, key: str = "", line: int | None = None) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(part for part in (place, key, reason) if part))
        self.file = file
        self.line = line
        self.key = key
        self.reason = reason


def whole(least: int, most: int = 2**53) -> Meta:
    """Bounds a whole number; the default maximum is the largest that JSON numbers keep exact."""
    return Meta(ge=least, le=most, description=f"a whole number from {least} to {most}")


def text(rule: Callable[[Any], object], *, may_be_empty: bool = False) -> Meta:
    """Makes what `Annotated` has for a string. The rule raises `ValueError`, without the value."""
    return Meta(extra={"rule": rule, "may_be_empty": may_be_empty})


def read(path: Path) -> TomlFile:
    """Reads a file. Raises `ConfigError`, and `FileNotFoundError` or `NotADirectoryError` if there
    is none.
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
    """Reads the content of the file of that name. Raises `ConfigError`."""
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
    """Raises `ConfigError` for what makes tomllib fail in another way, and without a place."""

    def fails(count: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:  # the last line is the beginning of something
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
    """Holds a file that was read.

    written  its text
    notices  lines for the log about what is not wrong, but probably not meant
    """

    name: str
    written: str = ""
    document: dict[str, Any] = {}
    notices: list[str] = []

    def convert(self, place: KeyPath, value: object, struct: type[S]) -> S:
        """Makes the struct of a table, which is at that place. Raises `ConfigError`."""
        table = self.table(place, value, struct.__struct_fields__)
        hints = _hints(struct)
        try:
            made = msgspec.convert(table, struct, dec_hook=_absolute_path)
        except msgspec.ValidationError as error:
            raise self._refused(place, table, hints, str(error)) from None
        for key in table:
            extra = next((one.extra for one in _metas(hints[key]) if one.extra), None)
            if extra is None:
                continue
            accepted: Any = getattr(made, key)
            several = isinstance(accepted, tuple)
            for position, one in enumerate(accepted if several else (accepted,)):
                if one is None or (not one and extra["may_be_empty"]):
                    continue
                try:
                    extra["rule"](one)
                except ValueError as error:
                    where = (*place, key, position) if several else (*place, key)
                    raise self._wrong(where, one, str(error)) from None
        return made

    def table(self, place: KeyPath, value: object, known: Iterable[str]) -> dict[str, Any]:
        """Returns the table at that place, which has only known keys. Raises `ConfigError`."""
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
        """Makes the error for a key, or for a table."""
        return ConfigError(self.name, reason, dotted(place), self._line(place))

    def notice(self, place: KeyPath, reason: str) -> None:
        self.notices.append(str(self.error(place, reason)))

    def _refused(
        self, place: KeyPath, table: Mapping[str, Any], hints: Mapping[str, Any], message: str
    ) -> ConfigError:
        """Makes the error of what msgspec has refused with that message."""
        if missing := _MISSING.match(message):
            return self.error((*place, missing[1]), "is missing")
        found = _PLACE.search(message)
        assert found is not None, message
        key, position = found.groups()
        value, hint = table[key], hints[key]
        reason = message[: found.start()]
        literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
        if expected := next((one.description for one in _metas(hint) if one.description), None):
            reason = f"expected {expected}"
        elif choices := [str(one) for part in literals for one in get_args(part) if one]:
            reason = f"expected one of {', '.join(choices)}"
        elif words := _EXPECTED.fullmatch(reason):
            reason = f"expected {_WORDS.get(words[1], words[1])}{words[2]}"
        if position is None:
            return self._wrong((*place, key), value, reason)
        return self._wrong((*place, key, int(position)), value[int(position)], reason)

    def _wrong(self, place: KeyPath, value: object, reason: str) -> ConfigError:
        secret = _SECRET.search([one for one in place if isinstance(one, str)][-1])
        return self.error(place, reason if secret else wrong_value(value, reason))

    def _line(self, place: KeyPath) -> int | None:
        """Searches the text for a key or the header of a table. Returns None if it is written in a
        way that the search does not know, such as an inline table.
        """
        if any(isinstance(one, int) for one in place[:-1]):  # one of several tables of a name
            return None
        names = [rf"""["']?{re.escape(one)}["']?""" for one in place if isinstance(one, str)]
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
        return found and self.written.count("\n", 0, found.start()) + 1


def present_values(table: Mapping[str, Any], made: Struct) -> dict[str, Any]:
    """Returns the values of the keys that the table has, without the defaults of the struct that
    was made of the table.
    """
    return {key: getattr(made, key) for key in table}


def dotted(place: KeyPath) -> str:
    """Writes a key as in the file: `clusters.berlin.nodes[2]`."""
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
    """Puts the value before what is wrong with it: `"abc": expected a number`. The value is on one
    line, short, and without the content of tables.
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
        case int() if value.bit_length() > 8 * _LONGEST_SHOWN:  # str() refuses some of these
            shown = "a number of many digits"
        case _:
            shown = str(value)[:_LONGEST_SHOWN]
    return f"{shown}: {reason}"


def _absolute_path(kind: type, value: object) -> Path:
    """Converts what msgspec does not know, which are paths."""
    assert kind is Path
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("expected an absolute path")
    return Path(value)


@cache
def _hints(struct: type[Struct]) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _metas(hint: Any) -> list[Meta]:
    """Lists what `Annotated` says of a type, or of the elements of a list."""
    found = [one for part in (hint, *get_args(hint)) for one in getattr(part, "__metadata__", ())]
    return [one for one in found if isinstance(one, Meta)]
