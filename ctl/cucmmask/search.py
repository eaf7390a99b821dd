"""Searches masked text for what is left of the originals.

The search shares with the masking only how text is cut into words, and what is marked as what. It
compares each word with all forms of all originals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from cucmmask.originals import PIECE, Originals
from cucmmask.places import DUMP, DUMP_TRIGGER, LEAST_DIGITS, LEAST_LETTERS, Kind
from cucmmask.text import Replaces, Text

_DOTTED = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_HEX = re.compile(r"[0-9a-f]{6,}")
_COLONS = re.compile(r"[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}")
_MAC = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}"
)
_RUN = re.compile(r"\w+(?:[.-]\w+)*")
# An original that was found: its kind, and itself.
Left = tuple[Kind, str]


class Search:
    """Looks for originals in texts.

    Numbers with fewer than LEAST_DIGITS digits and names with fewer than LEAST_LETTERS letters are
    looked for only where a trace marks them as such.
    """

    def __init__(self, known: Originals, masks: Replaces, own: Iterable[str] = ()) -> None:
        self._known = known
        self._own = [word.lower() for word in own]
        self._masks = masks
        self._marked = Text(masks)
        self._pieces: dict[str, Left] = {number: (Kind.NUMBER, number) for number in known.numbers}
        self._pieces |= {word: (kind, word) for word, kind in known.words.items()}
        self._hex: dict[str, Left] = {}
        for address in known.by_kind[Kind.ADDRESS]:
            packed = ip_address(address).packed
            reverse = packed[::-1].hex()
            for form in (packed.hex(), reverse, reverse.lstrip("0")):
                self._hex[form] = (Kind.ADDRESS, address)
            if len(packed) == 4:
                decimal = f"{int.from_bytes(packed, 'little'):010}"
                self._pieces[decimal] = (Kind.ADDRESS, address)

    def begin(self) -> None:
        """Forgets what was seen. `look` looks at each word once."""
        self._marked = Text(self._masks)

    def look(self, text: str) -> set[Left]:
        """Returns the originals that are in the text."""
        found: set[Left] = set()
        for word in self._marked.new_words(text):
            self._marked.word(word)
            found.update(self._look_at(word))
        for phrase, kind in self._known.phrases.items():
            if phrase in text:
                found.add((kind, phrase))
        if DUMP_TRIGGER.search(text):
            for dump in DUMP.finditer(text):
                found.update(self._look_at(bytes.fromhex(dump["bytes"]).decode("latin-1")))
        found.update(self._marked_in())
        return found

    def _marked_in(self) -> Iterator[Left]:
        """Yields the short originals that are still marked as such."""
        marked, self._marked.found = self._marked.found, Originals()
        for kind, originals in marked.by_kind.items():
            for original in originals & self._known.by_kind[kind]:
                signs = sum(map(str.isalnum, original))
                if signs < (LEAST_DIGITS if kind == Kind.NUMBER else LEAST_LETTERS):
                    yield kind, original

    def _look_at(self, word: str) -> Iterator[Left]:
        small = word.lower()
        for piece in PIECE.findall(small):
            if piece in self._pieces:
                yield self._pieces[piece]
        yield from self._addresses_in(small)
        yield from ((Kind.MAC, mac) for mac in _macs_in(small) if mac in self._known.macs)
        for match in _RUN.finditer(small):
            for start, end, kind in self._known.wholes_in(match[0]):
                yield kind, match[0][start:end]
        yield from ((Kind.WORD, own) for own in self._own if own in small)

    def _addresses_in(self, text: str) -> Iterator[Left]:
        known = self._known.by_kind[Kind.ADDRESS]
        yield from ((Kind.ADDRESS, dotted) for dotted in _DOTTED.findall(text) if dotted in known)
        for digits in _HEX.findall(text):
            first = digits if digits[8:].strip("0") else digits[:8]
            yield from (self._hex[form] for form in {digits, first} if form in self._hex)
        for colons in _COLONS.findall(text):
            if colons.count(":") == 7 or "::" in colons:
                try:
                    address = str(ip_address(colons))
                except ValueError:
                    continue
                if address in known:
                    yield Kind.ADDRESS, address


def _macs_in(text: str) -> Iterator[str]:
    """Yields what may be MAC addresses."""
    for digits in _HEX.findall(text):
        yield from (digits[start : start + 12] for start in range(len(digits) - 11))
    for signs in _MAC.findall(text):
        yield re.sub("[^0-9a-f]", "", signs)
