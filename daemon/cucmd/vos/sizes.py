"""PURE. The sizes that `file get` announces.

The one rule: of sizes that are announced twice the larger ones count, so that less never passes as
all.
"""

from __future__ import annotations

import re

from cucmd.vos.events import Sized

_FILES = re.compile(r"\s*Number of files affected\s*:\s*([\d,]{1,18})\s*$", re.IGNORECASE)
_BYTES = re.compile(r"\s*Total size in Bytes\s*:\s*([\d,]{1,24})\s*$", re.IGNORECASE)
# No partition has as many bytes. What is more counts as so much: the sums of it are numbers that
# every client of the socket can read, which 24 digits are not.
_MOST = 10**15


class Sizes:
    """`files` and `bytes` are None until the node has said them."""

    def __init__(self) -> None:
        self.files: int | None = None
        self.bytes: int | None = None

    @property
    def known(self) -> Sized | None:
        if self.files is None or self.bytes is None:
            return None
        return Sized(self.files, self.bytes)

    def line(self, line: str) -> Sized | None:
        """Takes a line of the node. The sizes, if they are new with it."""
        before = self.known
        if match := _FILES.match(line):
            self.files = _larger(self.files, match[1])
        elif match := _BYTES.match(line):
            self.bytes = _larger(self.bytes, match[1])
        return None if self.known == before else self.known


def _larger(known: int | None, text: str) -> int | None:
    digits = text.replace(",", "")
    return max(min(int(digits), _MOST), known or 0) if digits else known
