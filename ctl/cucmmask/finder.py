"""Finds many strings in a text at once, in upper and in lower case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ahocorasick_rs import BytesAhoCorasick, Implementation

# (start, end, string): where in the text the string is, and the string in lower case.
Find = tuple[int, int, str]

_FEW = 1 << 16  # characters of all strings


class Finder:
    """Finds `strings`, which are in lower case, in texts.

    The time for a text hardly depends on the number of strings.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        self._strings: list[str] = []
        patterns: list[bytes] = []
        # In some orders the search takes three times as long; a set has another order each time.
        for string in sorted(strings):
            # U+0130 is the only letter that becomes two characters in lower case.
            for form in {string, string.replace("i\u0307", "\u0130")}:
                self._strings.append(string)
                patterns.append(as_bytes(form))
        # The fastest form needs much memory for many strings: several hundred bytes a character.
        fastest = Implementation.DFA if sum(map(len, patterns)) < _FEW else None
        self._automaton = BytesAhoCorasick(patterns, implementation=fastest) if patterns else None

    def starts(self, data: bytes) -> list[int]:
        """Returns where strings begin in the bytes of a text. It leaves out overlapping strings."""
        if self._automaton is None:
            return []
        return [start for _, start, _ in self._automaton.find_matches_as_indexes(data)]

    def find(self, text: str) -> Iterator[Find]:
        """Yields (start, end, string) for each string that is in the text; they may overlap."""
        if self._automaton is None:
            return
        for which, start, end in self._automaton.find_matches_as_indexes(as_bytes(text), True):
            string = self._strings[which]
            if text[start:end].lower() == string:
                yield start, end, string


def as_bytes(text: str) -> bytes:
    """Returns a byte for each character, so that positions in bytes are positions in the text."""
    return text.encode("ascii", "replace").lower()
