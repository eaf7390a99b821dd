"""PURE. The sizes that `file get` announces.

What was not read as a size is unknown, never a smaller one. Of sizes that are announced twice the
larger ones count, so that less never passes as all.

`Total size in Kbytes` is rounded to some digits (vos/NODES.md, section 5.2), so nothing is compared
with it.
"""

from __future__ import annotations

import re

from cucmd.vos.events import Sized

# A whole number, or groups of three digits between separators of any language. Not the beginning of
# a number that is written in another way.
_NUMBER = (
    r"(\d{1,24}|\d{1,3}(?:[.,'\u2019\u00a0\u202f ]\d{3}){1,8})"
    r"(?![\d\w]|[.,'\u2019\u00a0\u202f ]\d)"
)
_FILES = re.compile(rf"Number of files affected\s{{0,8}}:\s{{0,8}}{_NUMBER}", re.IGNORECASE)
_BYTES = re.compile(rf"Total size in Bytes\s{{0,8}}:\s{{0,8}}{_NUMBER}", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
# No partition has as many bytes. What is more counts as so much: the sums of it are numbers that
# every client of the socket can read, which 24 digits are not.
_MOST = 10**15
MOST_UNREAD = 5


class Sizes:
    """`files` and `bytes` are None until the node has said them.

    unread  lines with a number in which no size was found, the first few, as they may be shown:
            the sizes in words that are not known, perhaps
    """

    def __init__(self) -> None:
        self.files: int | None = None
        self.bytes: int | None = None
        self.unread: list[str] = []

    @property
    def known(self) -> Sized | None:
        if self.files is None or self.bytes is None:
            return None
        return Sized(self.files, self.bytes)

    def words(self, text: str, note: str | None) -> list[Sized]:
        """Takes words of the node; they may hold both sizes. Gives the sizes, if new with them.

        note: what may be shown of the words, if sizes may be in them; else None.
        """
        before = self.known
        files, size = _FILES.search(text), _BYTES.search(text)
        if files:
            self.files = _larger(self.files, files[1])
        if size:
            self.bytes = _larger(self.bytes, size[1])
        if note and not (files or size) and _DIGIT.search(note):
            self._keep(note)
        now = self.known
        return [] if now is None or now == before else [now]

    def _keep(self, note: str) -> None:
        if len(self.unread) < MOST_UNREAD and note not in self.unread:
            self.unread.append(note)


def _larger(known: int | None, text: str) -> int:
    digits = "".join(filter(str.isdecimal, text))
    return max(min(int(digits), _MOST), known or 0)
