"""PURE. The secrets of one conversation, and how they are kept out of what people read.

The one rule: a secret is looked for in visible characters only, every place of it is covered, those
that overlap too, and nothing here ever shows one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MASK = "*****"
# Stands for one character of a secret until it is written; visible text has no such character.
COVER = "\x00"
_COVERED = re.compile(f"{COVER}+")


class Secrets:
    """A few words that must not be shown. More can be added at any time."""

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

        Shown from the character `since` on: whoever cuts before he masks shows what is left of a
        secret on the cut.
        """
        return masked(self.cover(visible(text))[len(visible(text[:since])) :])

    def cover(self, text: str, known: int = 0) -> str:
        """`text`, as long as it was, with every character of a secret covered.

        The first `known` characters belong to a secret whose beginning is not here any more.
        """
        parts = [COVER * known]
        done = known
        for start, end in sorted(self._places(text)):
            if end > done:
                parts += [text[done:start], COVER * (end - max(start, done))]
                done = end
        return "".join([*parts, text[done:]])

    def certain(self, text: str) -> int:
        """How many characters of `text` cannot be part of a secret that goes on after it."""
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
    """`text` with each covered run as one mask, so that not even its length is shown."""
    return _COVERED.sub(MASK, text)


def visible(text: str) -> str:
    """`text` without what a terminal might obey, the marks that turn its direction included."""
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable() or char == "\t")
