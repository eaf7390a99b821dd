"""Reads the configuration file: takes its tables key by key, with a note of what is wrong.

Nothing stops at the first wrong key. It is noted with its line and left out, so that a person sees
all mistakes of a file at once. `msgspec.convert` of a whole table would stop there.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from cucmd.config.errors import ConfigError, Problem, wrong_value
from cucmd.config.keys import ValueKind, WrongElements
from cucmd.config.model import SECTIONS
from cucmd.paths import config_places, default_config

# The names of tables and a key, and the position in its list.
KeyPath: TypeAlias = tuple[str | int, ...]

# Bytes. A configuration of a thousand nodes has a tenth of it; most logs, given by mistake, have
# more.
_LARGEST_FILE = 1024 * 1024

# The sections that have tables with names.
NAMED = ("credential", "clusters", "profiles")

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SECRET = re.compile(r"passw|secret|token", re.IGNORECASE)
# The last line of a list, a table or a string of several lines, but not that alone.
_LAST_LINE = re.compile(r"([\]}]|\"{3}|'{3})\s*(#.*)?$")
# A value with more of such lines is none of ours, and would be read once for each.
_MOST_TRIED = 1000


class Reader:
    """Holds a file, and what was found wrong in it so far.

    problems    what is wrong, in the order in which it was found
    notices     what is not wrong, but belongs in the log
    """

    def __init__(self, file: str, text: str = "", looked_for: Sequence[str] = ()) -> None:
        """`looked_for` has the names that were tried, if there is no file. Raises as `tomllib`."""
        self.problems: list[Problem] = []
        self.notices: list[str] = []
        self._file = file
        self._text = text
        self._looked_for = looked_for
        self._top: dict[str, object] = tomllib.loads(text)
        self._wrong: list[KeyPath] = []

    @property
    def origin(self) -> str:
        """Says which file was read, as one line for the log."""
        if not self._looked_for:
            return f"configuration from {str(Path(self._file).absolute())!a}"
        there = "there is neither " if len(self._looked_for) > 1 else "there is no "
        return f"no configuration file; {there}{' nor '.join(map(ascii, self._looked_for))}"

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return key_lines(self._text)

    def _problem(self, path: KeyPath, reason: str) -> Problem:
        """Makes a problem with the line of the key, or of the innermost table around it that is in
        the file.
        """
        places = (path[:end] for end in range(len(path), 0, -1))
        line = next((self._lines[place] for place in places if place in self._lines), None)
        return Problem(self._file, line, _dotted(path), reason)

    def note(self, path: KeyPath, reason: str) -> None:
        """Notes a problem with a key of the file."""
        self.problems.append(self._problem(path, reason))
        self._wrong.append(path)

    def note_elsewhere(self, place: str, name: str, value: object, reason: str) -> None:
        """Notes a problem outside of the file, such as with a variable."""
        self.problems.append(Problem(place, None, name, wrong_value(value, reason)))

    def notice(self, path: KeyPath, reason: str) -> None:
        """Notes what is not wrong, but belongs in the log."""
        self.notices.append(str(self._problem(path, reason)))

    def intact(self, path: KeyPath) -> bool:
        """Says whether no problem was noted at or below a key so far.

        A refused value is missing from its table. That must not be noted as a second problem.
        """
        return all(wrong[: len(path)] != path for wrong in self._wrong)

    def sections(self) -> dict[str, dict[str, object]]:
        """Returns the values of every section without a name."""
        self._refuse_unknown((), self._top, (*SECTIONS, *NAMED))
        return {
            name: self.values((name,), self._top.get(name, {}), kinds)
            for name, (_, kinds) in SECTIONS.items()
        }

    def named(self, section: str, rule: Callable[[str], str]) -> dict[str, object]:
        """Reads the tables below `[section.NAME]` whose names the rule accepts."""
        accepted: dict[str, object] = {}
        for name, value in self._table((section,), self._top.get(section, {})).items():
            try:
                accepted[rule(name)] = value
            except ValueError as error:
                self.note((section, name), str(error))
        return accepted

    def values(
        self, path: KeyPath, value: object, kinds: Mapping[str, ValueKind]
    ) -> dict[str, object]:
        """Converts the values of a table by their kinds. Refused ones are noted and left out."""
        table = self._table(path, value)
        self._refuse_unknown(path, table, tuple(kinds))
        accepted: dict[str, object] = {}
        for key, written in table.items():
            if key not in kinds:
                continue
            try:
                accepted[key] = kinds[key](written)
            except WrongElements as error:
                for position, element, reason in error.wrong:
                    self.note((*path, key, position), wrong_value(element, reason))
            except ValueError as error:
                # What is no name of a credential may be its password.
                shown = key != "credential"
                self.note((*path, key), wrong_value(written, str(error)) if shown else str(error))
        return accepted

    def _table(self, path: KeyPath, value: object) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        self.note(path, wrong_value(value, "expected a table"))
        return {}

    def _refuse_unknown(
        self, path: KeyPath, table: Mapping[str, object], known: tuple[str, ...]
    ) -> None:
        # The value is never shown: an unknown key may have a password as its value.
        for key in table:
            if key not in known:
                self.note((*path, key), f"is not known; {_advice(key, known)}")


def _advice(key: str, known: tuple[str, ...]) -> str:
    if _SECRET.search(key):
        return "secrets do not belong in this file, see [credentials]"
    sections = [f"[{name}]" for name, (_, kinds) in SECTIONS.items() if key in kinds]
    if sections:
        return f"it belongs in {' or '.join(sections)}"
    if close := get_close_matches(key, known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(known)}"


def _dotted(path: KeyPath) -> str:
    """Writes a key as a person does: `clusters.lab.nodes[2]`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
            continue
        name = part if BARE_KEY.fullmatch(part) else ascii(part)
        written += f".{name}" if written else name
    return written


def read_file(path: Path | None, environ: Mapping[str, str]) -> Reader:
    """Reads `path`, or the default file if that is None. Only the default file may be missing.

    Raises `ConfigError`.
    """
    chosen = path or Path(default_config(environ, os.getuid()))
    try:
        with chosen.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        if path is None and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return Reader(str(chosen), looked_for=config_places(environ, os.getuid()))
        raise _unusable(chosen, None, f"cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise _unusable(chosen, None, f"is larger than {_LARGEST_FILE} bytes")
    try:
        # As tomllib does it, so that line numbers are the same.
        text = content.decode("utf-8").replace("\r\n", "\n")
        return Reader(str(chosen), text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unusable(chosen, line, "is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(chosen, text, str(error)) from None
    except ValueError:  # of int(), for thousands of digits; tomllib does not catch it
        raise _unusable(chosen, None, "is not TOML: a number has too many digits") from None
    except RecursionError:
        raise _unusable(chosen, None, "is nested too deeply") from None


def _syntax_error(file: Path, text: str, message: str) -> ConfigError:
    reason = f"is not TOML: {_PLACE.sub('', message)}"
    place = _PLACE.search(message)
    if place is None:
        return _unusable(file, None, reason)
    if place[1] is None:
        return _unusable(file, text.rstrip("\n").count("\n") + 1, f"{reason}, at the end")
    return _unusable(file, int(place[1]), f"{reason}, at column {place[2]}")


def _unusable(file: Path, line: int | None, reason: str) -> ConfigError:
    return ConfigError([Problem(str(file), line, "", reason)])


def key_lines(text: str) -> dict[KeyPath, int]:
    """Says on which line (from 1) of a TOML document each table and key begins.

    tomllib gives no line numbers. But it also reads a header or an assignment alone, so the
    document is read again by as many lines as make one. A list of several lines is one assignment,
    and its elements have no line.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    written = text.split("\n")
    begin = tried = 0
    for end, last in enumerate(written, 1):
        if end - begin > 1 and not _LAST_LINE.search(last):
            continue  # so that a list of a thousand lines is not read a thousand times
        try:
            statement = tomllib.loads("\n".join(written[begin:end]))
        except (tomllib.TOMLDecodeError, RecursionError):  # it goes on in the next line
            tried += 1
            if tried > _MOST_TRIED:
                break
            continue
        paths = list(_paths(statement))
        header = written[begin].lstrip().startswith("[")
        for path in paths:
            lines.setdefault(path if header else (*table, *path), begin + 1)
        if header:
            table = paths[-1]
        begin, tried = end, 0
    return lines


def _paths(value: object) -> Iterator[KeyPath]:
    """Yields the keys of a table and of those in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (key,)
            yield from ((key, *path) for path in _paths(inner))
