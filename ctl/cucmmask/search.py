"""Searches masked text for what is left of the originals.

All forms of all originals are searched for at once, in the text as it is written. The search does
not use the masking's way to cut text into words, nor its places, so it can find what the masking
overlooks. Numbers with few digits and names with few letters are everywhere by chance. So they are
searched for only in parts of words that `Words` takes for a number or a name.

A find can by chance be the mask of another original. So the same text is then masked with NUL
characters instead of masks, and searched once more. Only what is found both times is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote

from cucmmask.dumps import content_of, dumps_in
from cucmmask.finder import Finder
from cucmmask.masks import Replaces
from cucmmask.originals import PIECE, Originals
from cucmmask.places import LEAST_DIGITS, LEAST_LETTERS, Kind
from cucmmask.text import Text
from cucmmask.words import Words

_ALNUM = re.compile(r"[^\W_]+")
# An IPv6 address can be written in many forms. These are compared as addresses.
_COLONS = re.compile(r"(?<![0-9a-fA-F:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}")
# An original that was found: its kind, and itself.
Left = tuple[Kind, str]
# What must be before and behind a form. Otherwise the form is a part of something else.
_Edges = tuple[re.Pattern[str], re.Pattern[str]]


def _edges(before: str, after: str) -> _Edges:
    return re.compile(before), re.compile(after)


_ANY = _edges("", "")
_DIGITS = _edges(r"(?<!\d)", r"(?!\d)")
_LETTERS = _edges(r"(?<![^\W\d_])", r"(?![^\W\d_])")
_WORDS = _edges(r"(?<![^\W_])", r"(?![^\W_])")
_DOTTED = _edges(r"(?<!\d)(?<!\d\.)", r"(?!\.?\d)")
# Some formats fill the 16 bytes of an IPv6 address with zeros behind an IPv4 address.
_HEX = _edges(r"(?<![0-9a-fA-F])", r"(?:0{24})?(?![0-9a-fA-F])")


class Search:
    """Looks for the originals in texts that were masked with the same arguments."""

    def __init__(self, masks: Replaces, known: Originals, own: Iterable[str] = ()) -> None:
        self._known = known
        self._marked = Words(masks)
        self._blank = Text(masks, known, own=own, blank=True)
        self._forms: dict[str, list[tuple[Left, _Edges]]] = {}
        for form, left, edges in _forms(known, own):
            self._forms.setdefault(form.lower(), []).append((left, edges))
        self._finder = Finder(self._forms)
        self._has_colons = any(":" in address for address in known.by_kind[Kind.ADDRESS])
        # The pieces of originals that are too short to be searched for anywhere.
        self._short = {
            piece.lower()
            for kind, originals in known.by_kind.items()
            for original in originals
            if _is_short(kind, original)
            for piece in PIECE.findall(original)
        } - self._forms.keys()

    def left_in(self, before: str, after: str, fresh: dict[str, str]) -> set[Left]:
        """Returns the originals that are left in a text that was masked.

        before  the text without masks
        after   the text with masks
        fresh   word -> mask, as in `Text.fresh`
        """
        found = self.look(after)
        if found:
            found &= self.look(self._blank.mask(before))
        if short := self.look_marked(fresh.values()):
            found |= short & self.look_marked(map(self._blank.words.word, fresh))
        return found

    def look(self, text: str) -> set[Left]:
        """Returns the originals in a text that are long enough to be searched for anywhere."""
        found = set(self._look(text))
        if "%" in text:
            escaped = "\n".join(line for line in text.split("\n") if "%" in line)
            found.update(self._look(unquote(escaped, errors="replace")))
        for dump in dumps_in(text):
            content = content_of(dump)
            found.update(self._look(content.decode("latin-1")))
            if not self._finder.starts(content.hex().encode()):
                continue
            for at in range(len(content) - 3):
                if packed := self._known.hex.get(content[at : at + 4].hex()):
                    found.add((Kind.ADDRESS, str(ip_address(packed))))
                if (mac := content[at : at + 6].hex()) in self._known.macs:
                    found.add((Kind.MAC, mac))
        return found

    def _look(self, text: str) -> Iterator[Left]:
        for start, end, form in self._finder.find(text):
            for left, (before, after) in self._forms[form]:
                if before.match(text, start) and after.match(text, end):
                    yield left
        for colons in _COLONS.findall(text) if self._has_colons else ():
            try:
                address = str(IPv6Address(colons))
            except ValueError:
                continue
            if address in self._known.by_kind[Kind.ADDRESS]:
                yield Kind.ADDRESS, address

    def look_marked(self, parts: Iterable[str]) -> set[Left]:
        """Returns the short originals that are marked as such in parts of words."""
        self._marked.found = Originals()
        for part in parts:
            if not self._short.isdisjoint(_ALNUM.findall(part.lower())):
                self._marked.word(part)
        return {
            (kind, original)
            for kind, originals in self._marked.found.by_kind.items()
            for original in originals & self._known.by_kind[kind]
            if _is_short(kind, original)
        }


def _forms(known: Originals, own: Iterable[str]) -> Iterator[tuple[str, Left, _Edges]]:
    """Yields all forms of the originals that are long enough to be searched for anywhere."""
    for number in known.numbers:
        yield number, (Kind.NUMBER, number), _DIGITS
    for word, kind in known.words.items():
        yield word, (kind, word), _LETTERS
    for whole, kind in known.wholes.items():
        yield whole, (kind, whole), _WORDS
    for phrase, kind in known.phrases.items():
        yield phrase, (kind, phrase), _edges("", rf"(?<={re.escape(phrase)})")
    for word in own:
        yield word, (Kind.WORD, word), _ANY
    for mac in known.macs:
        left = Kind.MAC, mac
        for form in (
            mac,
            f"{mac[:8]}-{mac[8:]}",
            f"{mac[:4]}.{mac[4:8]}.{mac[8:]}",
            bytes.fromhex(mac).hex(":"),
            bytes.fromhex(mac).hex("-"),
        ):
            yield form, left, _ANY
    for address in known.by_kind[Kind.ADDRESS]:
        packed = ip_address(address).packed
        left = Kind.ADDRESS, address
        if len(packed) == 16:
            yield packed.hex(), left, _HEX
        else:
            yield address, left, _DOTTED
            yield f"::ffff:{packed[0]:x}{packed[1]:02x}:{packed[2]:x}{packed[3]:02x}", left, _HEX
    for forms, edges in ((known.hex, _HEX), (known.decimal, _DIGITS)):
        for form, packed in forms.items():
            yield form, (Kind.ADDRESS, str(ip_address(packed))), edges


def _is_short(kind: Kind, original: str) -> bool:
    signs = sum(map(str.isalnum, original))
    return signs < (LEAST_DIGITS if kind == Kind.NUMBER else LEAST_LETTERS)
