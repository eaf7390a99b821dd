"""Reads tables key by key, and notes everything that is wrong.

Nothing stops at the first problem. A wrong value is noted and left out, so that a person sees all
mistakes of a file at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

from cucmd.config.errors import Problem, found
from cucmd.config.keys import SECTIONS, Kind, WrongElements
from cucmd.config.lines import KeyPath
from cucmd.config.source import Source

_SECRET = re.compile(r"passw|secret|token", re.IGNORECASE)


class Reader:
    """A source, and the problems that were found in it so far."""

    def __init__(self, source: Source) -> None:
        self.problems: list[Problem] = []
        self.notices: list[str] = []
        self.origin = source.origin
        self._source = source
        self._wrong: list[KeyPath] = []

    def note(self, path: KeyPath, reason: str) -> None:
        """Notes a problem with a key of the file."""
        self.problems.append(self._source.problem(path, reason))
        self._wrong.append(path)

    def note_elsewhere(self, place: str, name: str, value: object, reason: str) -> None:
        """Notes a problem outside of the file, such as with a variable."""
        self.problems.append(Problem(place, None, name, found(value, reason)))

    def overridden_by(self, path: KeyPath, to: str) -> None:
        """Notes that a key of the file has no effect, because `to` overrides it."""
        self.notice(path, f"is overridden by {to}")

    def notice(self, path: KeyPath, reason: str) -> None:
        """Notes what is not wrong, but belongs in the log."""
        self.notices.append(str(self._source.problem(path, reason)))

    def intact(self, path: KeyPath) -> bool:
        """Whether no problem was noted at or below a key so far.

        A refused value is missing from its table. That must not be noted as a second problem.
        """
        return all(wrong[: len(path)] != path for wrong in self._wrong)

    def sections(self, known: Iterable[str]) -> None:
        """Notes every unknown key at the top of the file."""
        self._refuse_unknown((), self._source.table, tuple(known))

    def section(self, name: str, kinds: Mapping[str, Kind]) -> dict[str, object]:
        """The values of a section of the file."""
        return self.values((name,), self._source.table.get(name, {}), kinds)

    def named(self, section: str, rule: Callable[[str], str]) -> dict[str, object]:
        """The tables below `[section.NAME]` whose names the rule accepts."""
        accepted: dict[str, object] = {}
        for name, value in self._table((section,), self._source.table.get(section, {})).items():
            try:
                accepted[rule(name)] = value
            except ValueError as error:
                self.note((section, name), str(error))
        return accepted

    def values(self, path: KeyPath, value: object, kinds: Mapping[str, Kind]) -> dict[str, object]:
        """The values of a table, converted by their kinds. Refused ones are noted and left out."""
        table = self._table(path, value)
        self._refuse_unknown(path, table, tuple(kinds))
        accepted: dict[str, object] = {}
        for key in table.keys() & kinds.keys():
            try:
                accepted[key] = kinds[key](table[key])
            except WrongElements as error:
                for position, element, reason in error.wrong:
                    self.note((*path, key, position), found(element, reason))
            except ValueError as error:
                self.note((*path, key), found(table[key], str(error)))
        return accepted

    def _table(self, path: KeyPath, value: object) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        self.note(path, found(value, "expected a table"))
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
