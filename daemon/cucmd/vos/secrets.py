"""PURE. Masks the secrets of one session in text that people read.

Secrets are searched in the visible characters alone. Every occurrence is masked, even if two
overlap.

A node may write a secret in Latin-1, or as UTF-8 with escape sequences between the bytes of a
character. All input is decoded as UTF-8, so a character beyond ASCII may become another character,
two may become one, or one may become two. So all characters beyond ASCII count as the same
character (`OTHER`), and a secret is searched in all its `_decoded_forms`. Text that differs from
the secret only in its accents is masked too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MASK = "*****"
# Stands for one character of a secret until the text is written. Visible text never contains it.
COVER = "\x00"
_COVERED = re.compile(f"{COVER}+")
OTHER = "\ufffd"
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# Encodings that an appliance may use: Latin-1, its relatives with the euro sign, and ASCII, which
# replaces other characters by question marks.
_ENCODINGS = ("latin-1", "cp1252", "iso8859-15", "ascii")


class Secrets:
    """Holds the words that must not be shown. More may be added at any time."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._words: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return f"<{len(self._words)} secrets>"

    def add(self, secret: str) -> None:
        self._words.update(filter(None, map(remove_invisible, _decoded_forms(secret))))

    def mask(self, text: str, since: int = 0) -> str:
        """Returns the visible part of `text` from the character `since` on, with secrets masked.

        If the caller cut the text before, a secret across the cut would be shown in part.
        """
        shown = remove_invisible(text)
        # The text may end within a character. Treat this character as if it were complete.
        to_come = OTHER if any(word.endswith(OTHER) for word in self._words) else ""
        covered = self.cover(shown + to_come)[: len(shown)]
        return mask_covered(covered[len(remove_invisible(text[:since])) :])

    def cover(self, text: str, known: int = 0) -> str:
        """Returns `text` with `COVER` for every character of a secret. The length stays the same.

        known: the number of characters at the beginning that belong to a secret in earlier text.
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
        """Returns how many characters of `text` precede a possible beginning of a secret."""
        text = _fold_non_ascii(text)
        longest = max(map(len, self._words), default=0)
        for start in range(max(0, len(text) - longest + 1), len(text)):
            tail = text[start:]
            if any(len(tail) < len(word) and word.startswith(tail) for word in self._words):
                return start
        return len(text)


def _fold_non_ascii(text: str) -> str:
    """Returns `text` with `OTHER` for each character beyond ASCII. The length stays the same."""
    return text if text.isascii() else _BEYOND_ASCII.sub(OTHER, text)


def _decoded_forms(secret: str) -> Iterator[str]:
    """Yields the forms that `secret` may have in text that `_fold_non_ascii` returns."""
    if secret.isascii():
        yield secret
        return
    # The text is decoded as the bytes of the terminal are (screen.py).
    read = [secret]
    read += [secret.encode(name, "replace").decode("utf-8", "replace") for name in _ENCODINGS]
    written = secret.encode("utf-8", "replace")
    # Each byte became a character of its own: escape sequences stood between them, or the node took
    # UTF-8 for Latin-1 and encoded it as UTF-8 again.
    read += [written.decode("ascii", "replace"), written.decode("latin-1")]
    for form in map(_fold_non_ascii, map(remove_invisible, read)):
        if set(form) == {"?"}:
            continue  # no character of the secret is left
        yield form
        if core := form.strip(OTHER):
            # A character at either end may have merged with the character beside the secret.
            before, after = form.split(core)
            yield f"{before[:1]}{core}{after[:1]}"


def mask_covered(text: str) -> str:
    """Returns `text` with one mask for each run of `COVER`, which hides the secret's length too."""
    return _COVERED.sub(MASK, text)


def remove_invisible(text: str) -> str:
    """Returns `text` without control characters and direction marks. TAB stays."""
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable() or char == "\t")
