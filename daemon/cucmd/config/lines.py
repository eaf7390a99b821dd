"""PURE. On which line of a TOML document each key and each array element begins.

It is used only on text that `tomllib` has accepted, so it checks nothing. It knows where keys,
strings, arrays and inline tables end, and nothing about values. It exists because `tomllib` gives
no line numbers, and an error has to have one.
"""

from __future__ import annotations

import re
import tomllib
from typing import TypeAlias, cast

KeyPath: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Long delimiters first. Up to two quotes may come directly before the closing three.
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Line (from 1) of every table, key and array element of a valid document."""
    return _Scanner(text).document()


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a key, or of the innermost table around it if the key is not in the file."""
    for end in range(len(path), 0, -1):
        if (line := lines.get(path[:end])) is not None:
            return line
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._lines: dict[KeyPath, int] = {}

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._next_is("["):
                table = self._header()
            else:
                self._assignment(table)
            self._skip_blank()
        return self._lines

    def _header(self) -> KeyPath:
        # All elements of an [[array of tables]] get the line of the first: no key of ours is one,
        # so it is a mistake that begins there.
        brackets = 2 if self._next_is("[[") else 1
        self._at += brackets
        path = self._key()
        self._note(path)
        self._at += brackets
        return path

    def _assignment(self, table: KeyPath) -> None:
        path = (*table, *self._key())
        self._note(path)
        self._at += 1  # the equals sign
        self._skip_blank()
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        """Reads a key, dotted or not. The position is then behind it."""
        parts: list[str] = []
        while True:
            self._skip_blank()
            parts.append(self._key_part())
            self._skip_blank()
            if not self._next_is("."):
                return tuple(parts)
            self._at += 1

    def _key_part(self) -> str:
        bare = _BARE_KEY.match(self._text, self._at)
        if bare:
            self._advance(bare.end())
            return bare.group()
        quoted = self._take(_STRING)
        return cast(str, tomllib.loads(f"key = {quoted}")["key"])

    def _value(self, path: KeyPath) -> None:
        if self._next_is("["):
            self._array(path)
        elif self._next_is("{"):
            self._inline_table(path)
        elif self._text[self._at] in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        position = 0
        while not self._closed("]"):
            self._note((*path, position))
            self._value((*path, position))
            position += 1

    def _inline_table(self, path: KeyPath) -> None:
        while not self._closed("}"):
            self._assignment(path)

    def _closed(self, bracket: str) -> bool:
        """Steps over an opening bracket or a comma, and over the closing bracket if it is next."""
        if self._text[self._at] in "[{,":
            self._at += 1
        self._skip_blank()
        if self._next_is(","):
            return self._closed(bracket)
        if not self._next_is(bracket):
            return False
        self._at += 1
        return True

    def _note(self, path: KeyPath) -> None:
        # Dotted keys and headers also begin the tables that they name on the way.
        for end in range(1, len(path) + 1):
            self._lines.setdefault(path[:end], self._line)

    def _next_is(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _skip_blank(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found, f"no {pattern.pattern} at {self._at} of a valid document"
        self._advance(found.end())
        return found.group()

    def _advance(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end
