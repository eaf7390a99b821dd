"""PURE. Holds the secrets of one session, and keeps them out of what people read.

Secrets are looked for in visible characters only, and every place of one is masked, overlapping
ones too. Nothing here ever shows a secret.

Characters beyond ASCII. A node may write a secret in Latin-1, or as UTF-8 whose bytes are torn
apart by escape sequences. Both are read as UTF-8 here, so of such a character something else is
left, or of two of them one, or of one of them two. So all characters beyond ASCII count as the same
one (`OTHER`), and each secret is looked for in every form that it may have then: see `_decoded_forms`. This
masks a little more than the secret where it differs from other text in its accents only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MASK = "*****"
# Stands for one character of a secret until it is written; visible text has no such character.
COVER = "\x00"
_COVERED = re.compile(f"{COVER}+")
OTHER = "\ufffd"
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# What an appliance may write in: Latin-1, its relatives with the sign of the euro, and ASCII with
# a question mark for each character that it does not have.
_ENCODINGS = ("latin-1", "cp1252", "iso8859-15", "ascii")


class Secrets:
    """Holds a few words that must not be shown. More may be added at any time."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._words: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return f"<{len(self._words)} secrets>"

    def add(self, secret: str) -> None:
        self._words.update(filter(None, map(remove_invisible, _decoded_forms(secret))))

    def mask(self, text: str, since: int = 0) -> str:
        """Returns the visible part of `text`, each secret in it replaced by `MASK`.

        Only the part from the character `since` on. Cutting before masking would show the rest of a
        secret that lies across the cut.
        """
        shown = remove_invisible(text)
        # The bytes of the last character may not all be here: as if it had come.
        to_come = OTHER if any(word.endswith(OTHER) for word in self._words) else ""
        covered = self.cover(shown + to_come)[: len(shown)]
        return mask_covered(covered[len(remove_invisible(text[:since])) :])

    def cover(self, text: str, known: int = 0) -> str:
        """Puts `COVER` for every character of a secret; the length of `text` does not change.

        The first `known` characters belong to a secret whose beginning was given before.
        """
        parts = [COVER * known]
        done = known
        places: list[tuple[int, int]] = []
        alike = _fold_non_ascii(text)
        for word in self._words:
            start = alike.find(word)
            while start >= 0:
                places.append((start, start + len(word)))
                start = alike.find(word, start + 1)
        for start, end in sorted(places):
            if end > done:
                parts += [text[done:start], COVER * (end - max(start, done))]
                done = end
        return "".join([*parts, text[done:]])

    def writable(self, text: str) -> int:
        """Returns how many characters of `text` cannot belong to a secret that goes on in what
        follows.
        """
        text = _fold_non_ascii(text)
        longest = max(map(len, self._words), default=0)
        for start in range(max(0, len(text) - longest + 1), len(text)):
            tail = text[start:]
            if any(len(tail) < len(word) and word.startswith(tail) for word in self._words):
                return start
        return len(text)


def _fold_non_ascii(text: str) -> str:
    """Puts `OTHER` for each character beyond ASCII; the length of `text` does not change."""
    return text if text.isascii() else _BEYOND_ASCII.sub(OTHER, text)


def _decoded_forms(secret: str) -> Iterator[str]:
    """Yields `secret` as it may be found in a text that `_fold_non_ascii` has made."""
    if secret.isascii():
        yield secret
        return
    # Decoded as terminals' bytes are (`screen.py`).
    read = [secret]
    read += [secret.encode(name, "replace").decode("utf-8", "replace") for name in _ENCODINGS]
    written = secret.encode("utf-8", "replace")
    # Each byte by itself: torn apart, or taken for Latin-1 and written as UTF-8 once more.
    read += [written.decode("ascii", "replace"), written.decode("latin-1")]
    for form in map(_fold_non_ascii, map(remove_invisible, read)):
        if set(form) == {"?"}:
            continue  # nothing of the secret is in it
        yield form
        if core := form.strip(OTHER):
            # A character at its end may have become one with the character beside it.
            before, after = form.split(core)
            yield f"{before[:1]}{core}{after[:1]}"


def mask_covered(text: str) -> str:
    """Puts one mask for each run of `COVER`, so that its length is not shown either."""
    return _COVERED.sub(MASK, text)


def remove_invisible(text: str) -> str:
    """Removes control characters and direction marks; TAB stays."""
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable() or char == "\t")
