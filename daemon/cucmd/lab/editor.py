"""PURE. The line discipline of a terminal: keys in, echo and lines out.

Every key is echoed on its own, because a node sends every character in its own packet
(vos/NODES.md, section 2).
"""

from __future__ import annotations

from enum import Enum, auto

_ENTER = b"\r\n"
_BACKSPACE = b"\b\x7f"
# A longer line is cut. The appliance's own limit is unknown; this one keeps memory bounded.
LONGEST_LINE = 4096


class Echo(Enum):
    PLAIN = auto()
    STARS = auto()  # a password: one star a character
    NONE = auto()


class LineEditor:
    """One line being typed."""

    def __init__(self, echo: Echo = Echo.PLAIN) -> None:
        self._echo = echo
        self._typed = bytearray()
        self.line: str | None = None  # set by Enter

    def key(self, key: int) -> bytes:
        """Takes one key. Returns what the terminal shows for it."""
        if key in _ENTER:
            self.line = self._typed.decode("utf-8", "replace")
            return b"" if self._echo is Echo.NONE else b"\r\n"
        if key in _BACKSPACE:
            return self._erase()
        if key < 0x20:
            return self._control(key)
        if len(self._typed) >= LONGEST_LINE:
            return b"\a"
        self._typed.append(key)
        return self._shown(bytes([key]))

    def _erase(self) -> bytes:
        if not self._typed:
            return b""
        del self._typed[-1:]
        return self._shown(b"\b \b", stars=b"\b \b")

    def _control(self, key: int) -> bytes:
        """Ctrl-U clears the line. TAB completes on a node; here it only gives a bell."""
        if key == 0x15:
            erased = b"\b \b" * len(self._typed)
            self._typed.clear()
            return self._shown(erased, stars=erased)
        return b"\a" if key == 0x09 else b""

    def _shown(self, plain: bytes, stars: bytes = b"*") -> bytes:
        return {Echo.PLAIN: plain, Echo.STARS: stars, Echo.NONE: b""}[self._echo]
