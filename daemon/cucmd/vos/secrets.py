"""PURE. The secrets of one session, and how they are kept out of what people read.

The one rule: secrets are looked for in visible characters only, and every place of one is masked,
overlapping ones too. Nothing here ever shows a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MASK = "*****"
# Stands for one character of a secret until it is written; visible text has no such character.
COVER = "\x00"
_COVERED = re.compile(f"{COVER}+")


class Secrets:
    """A few words that must not be shown. More may be added at any time."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._words: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return f"<{len(self._words)} secrets>"

    def add(self, secret: str) -> None:
        if word := visible(secret):
            self._words.add(word)

    def mask(self, text: str, since: int = 0) -> str:
        """The visible part of `text`, each secret in it replaced by `MASK`.

        Only the part from the character `since` on. Cutting before masking would show the rest of a
        secret that lies across the cut.
        """
        return masked(self.cover(visible(text))[len(visible(text[:since])) :])

    def cover(self, text: str, known: int = 0) -> str:
        """`text` with `COVER` for every character of a secret; its length does not change.

        The first `known` characters belong to a secret whose beginning was given before.
        """
        parts = [COVER * known]
        done = known
        for start, end in sorted(self._places(text)):
            if end > done:
                parts += [text[done:start], COVER * (end - max(start, done))]
                done = end
        return "".join([*parts, text[done:]])

    def writable(self, text: str) -> int:
        """How many characters of `text` cannot belong to a secret that goes on in what follows."""
        longest = max(map(len, self._words), default=0)
        for start in range(max(0, len(text) - longest + 1), len(text)):
            tail = text[start:]
            if any(len(tail) < len(word) and word.startswith(tail) for word in self._words):
                return start
        return len(text)

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        for word in self._words:
            start = text.find(word)
            while start >= 0:
                yield start, start + len(word)
                start = text.find(word, start + 1)


def masked(text: str) -> str:
    """`text` with one mask for each run of `COVER`, so that its length is not shown either."""
    return _COVERED.sub(MASK, text)


def visible(text: str) -> str:
    """`text` without control characters and direction marks; TAB stays."""
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable() or char == "\t")
