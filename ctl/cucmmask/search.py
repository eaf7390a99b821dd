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
_ALNUM = re.compile(r"[^\W_]+")
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
        # Letters and digits in lower case -> the original of which they are a form.
        self._exact: dict[str, Left] = {mac: (Kind.MAC, mac) for mac in known.macs}
        for address in known.by_kind[Kind.ADDRESS]:
            packed = ip_address(address).packed
            left = Kind.ADDRESS, address
            reverse = packed[::-1].hex()
            self._exact |= dict.fromkeys((packed.hex(), reverse, reverse.lstrip("0")), left)
            if len(packed) == 4:
                self._exact[f"{int.from_bytes(packed, 'little'):010}"] = left
        self._exact |= {word: (kind, word) for word, kind in known.words.items()}
        self._exact |= {number: (Kind.NUMBER, number) for number in known.numbers}
        # What the pieces of originals are that are looked for only where they are marked.
        self._short = {
            piece.lower()
            for kind, originals in known.by_kind.items()
            for original in originals
            if _is_short(kind, original)
            for piece in PIECE.findall(original)
        } - self._exact.keys()

    def begin(self) -> None:
        """Forgets what was seen. `look` looks at each word once."""
        self._marked = Text(self._masks)

    def look(self, text: str) -> set[Left]:
        """Returns the originals that are in the text."""
        found = set(self.look_around(text))
        for word in self._marked.new_words(text):
            found.update(self.look_at(word))
        found.update(self.marked())
        return found

    def look_around(self, text: str) -> Iterator[Left]:
        """Yields the originals that no word shows: phrases, and what is in hex dumps."""
        yield from ((kind, one) for one, kind in self._known.phrases.items() if one in text)
        if DUMP_TRIGGER.search(text):
            for dump in DUMP.finditer(text):
                yield from self.look_at(bytes.fromhex(dump["bytes"]).decode("latin-1"))

    def marked(self) -> Iterator[Left]:
        """Yields the short originals in what was looked at that are marked as such."""
        if not any(self._marked.found.by_kind.values()):
            return
        marked, self._marked.found = self._marked.found, Originals()
        for kind, originals in marked.by_kind.items():
            for original in originals & self._known.by_kind[kind]:
                if _is_short(kind, original):
                    yield kind, original

    def look_at(self, word: str) -> Iterator[Left]:
        """Yields the originals in a word. `marked` yields those that must be marked."""
        small = word.lower()
        marked = False
        for run in _ALNUM.findall(small):
            if run in self._exact:
                yield self._exact[run]
            marked = marked or run in self._short
            if len(run) >= LEAST_LETTERS and not (run.isalpha() or run.isdecimal()):
                yield from self._mixed(run)
        if marked:
            self._marked.word(word)  # finds out whether a short original is marked as one
        if "." in word or ":" in word or "-" in word:
            yield from self._with_signs(small)
        for match in _RUN.finditer(small) if self._known.wholes else ():
            for start, end, kind in self._known.wholes_in(match[0]):
                yield kind, match[0][start:end]
        yield from ((Kind.WORD, own) for own in self._own if own in small)

    def _mixed(self, run: str) -> Iterator[Left]:
        """Looks at letters and digits without a sign between them."""
        for piece in PIECE.findall(run):
            if piece in self._exact:
                yield self._exact[piece]
        for digits in _HEX.findall(run):
            first = digits if digits[8:].strip("0") else digits[:8]
            parts = {digits, first}
            if len(digits) >= 12:
                parts.update(digits[start : start + 12] for start in range(len(digits) - 11))
            yield from (self._exact[part] for part in parts if part in self._exact)

    def _with_signs(self, text: str) -> Iterator[Left]:
        known = self._known.by_kind[Kind.ADDRESS]
        if text.count(".") > 2:
            yield from ((Kind.ADDRESS, found) for found in _DOTTED.findall(text) if found in known)
        for signs in _MAC.findall(text):
            mac = re.sub("[^0-9a-f]", "", signs)
            if mac in self._known.macs:
                yield Kind.MAC, mac
        for colons in _COLONS.findall(text) if ":" in text else ():
            if colons.count(":") == 7 or "::" in colons:
                try:
                    address = str(ip_address(colons))
                except ValueError:
                    continue
                if address in known:
                    yield Kind.ADDRESS, address


def _is_short(kind: Kind, original: str) -> bool:
    signs = sum(map(str.isalnum, original))
    return signs < (LEAST_DIGITS if kind == Kind.NUMBER else LEAST_LETTERS)
