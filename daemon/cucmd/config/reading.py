"""Takes tables apart by what their keys accept, and notes everything that does not fit.

The one rule: nothing stops at the first problem. What is wrong is noted and left out, so that
the pass goes on and a person corrects a file once, not once a mistake.
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
    """A source, and what was found wrong with it so far."""

    def __init__(self, source: Source) -> None:
        self.problems: list[Problem] = []
        self.notices: list[str] = []
        self.origin = source.origin
        self._source = source
        self._wrong: list[KeyPath] = []

    def note(self, path: KeyPath, reason: str) -> None:
        """Something is wrong with a key of the file."""
        self.problems.append(self._source.problem(path, reason))
        self._wrong.append(path)

    def note_elsewhere(self, place: str, name: str, value: object, reason: str) -> None:
        """Something is wrong outside of the file, such as with a variable."""
        self.problems.append(Problem(place, None, name, found(value, reason)))

    def overridden_by(self, path: KeyPath, to: str) -> None:
        """A key of the file has no effect, and another value holds."""
        self.notice(path, f"gives way to {to}")

    def notice(self, path: KeyPath, reason: str) -> None:
        """Something is not wrong, but worth a word in the log."""
        self.notices.append(str(self._source.problem(path, reason)))

    def intact(self, path: KeyPath) -> bool:
        """Whether nothing at or below a key was wrong so far.

        What was refused is missing from its table, and that must not become a second problem.
        """
        return all(wrong[: len(path)] != path for wrong in self._wrong)

    def sections(self, known: Iterable[str]) -> None:
        """Notes whatever stands at the top of the file and is not known."""
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
        """What a table gives, as its kinds make it; without what they refuse."""
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
        # The value is never shown: a key that is not ours may well hold a password.
        for key in table:
            if key not in known:
                self.note((*path, key), f"is not known; {_advice(key, known)}")


def _advice(key: str, known: tuple[str, ...]) -> str:
    if _SECRET.search(key):
        return "secrets do not belong in this file, see [credentials]"
    homes = [f"[{name}]" for name, (_, kinds) in SECTIONS.items() if key in kinds]
    if homes:
        return f"it belongs in {' or '.join(homes)}"
    if close := get_close_matches(key, known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(known)}"
