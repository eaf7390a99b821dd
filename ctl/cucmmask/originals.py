"""Keeps what the first pass has found: the originals, and which of them are masked anywhere.

An original is kept in one form: an address dotted or as IPv6, a MAC address as 12 hexadecimal
digits in lower case, a number as its digits, everything else as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from cucmmask.places import LEAST_DIGITS, LEAST_LETTERS, VOCABULARY, Kind

WORD = re.compile(r"[^\W\d_]+")
RUN = re.compile(r"\w+(?:[.-]\w+)*")
PIECE = re.compile(r"[^\W\d_]+|\d+")
_ATOM = re.compile(r"[^._-]+")
# In names of these kinds, words of VOCABULARY are masked too. Nobody needs them to follow a call.
EVERY_WORD = (Kind.PARTITION, Kind.CLUSTER, Kind.WORD)

# For nodes, labels and the user's own words fewer letters are enough: they surely are the user's.
_LEAST = {Kind.HOST: 3, Kind.LABEL: 4, Kind.WORD: 1}


class Originals:
    """Holds the originals by kind, and those that are masked wherever they are found.

    numbers   numbers with enough digits
    words     words of names with enough letters, in lower case -> their kind
    wholes    names of several words that are joined by `.`, `-` or `_`, in lower case -> their kind
    phrases   names with other signs, if a word of them is not in `words`
    macs      MAC addresses
    hex       8 hexadecimal digits -> the IPv4 address that they stand for, in both orders of the
              bytes. In reversed order a 0 at the beginning may be missing, so 7 digits count too
    decimal   the same for decimal numbers, also those that are filled with zeros to ten digits
    """

    def __init__(
        self,
        originals: Mapping[Kind, Iterable[str]] | None = None,
        *,
        least_digits: int = LEAST_DIGITS,
        least_letters: int = LEAST_LETTERS,
    ) -> None:
        self._least_digits, self._least_letters = least_digits, least_letters
        self.by_kind: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        self.numbers: set[str] = set()
        self.words: dict[str, Kind] = {}
        self.wholes: dict[str, Kind] = {}
        self._firsts: set[str] = set()  # the beginnings of `wholes`
        self.phrases: dict[str, Kind] = {}
        self.macs = self.by_kind[Kind.MAC]
        self.hex: dict[str, bytes] = {}
        self.decimal: dict[str, bytes] = {}
        for kind, found in (originals or {}).items():
            for original in found:
                self.add(kind, original)

    def add(self, kind: Kind, original: str) -> None:
        """Adds an original."""
        known = self.by_kind[kind]
        if original in known:
            return
        known.add(original)
        if kind == Kind.NUMBER:
            self._add_number(original)
        elif kind == Kind.ADDRESS:
            packed = ip_address(original).packed
            # 10.1.0.0 is a small number if its bytes are reversed, which is everywhere by chance.
            if len(packed) == 4 and packed[2:] != b"\0\0":
                for form in (packed, packed[::-1]):
                    self.hex[form.hex()] = packed
                    number = int.from_bytes(form)
                    self.decimal[str(number)] = self.decimal[f"{number:010}"] = packed
                for sign in "-_":  # in names of hosts and files, such as ip-192-0-2-1
                    self.wholes.setdefault(sign.join(map(str, packed)), Kind.ADDRESS)
                self._firsts.add(str(packed[0]))
                if len(short := packed[::-1].hex().lstrip("0")) == 7:
                    self.hex[short] = packed
        elif kind != Kind.MAC:
            self._add_name(kind, original)

    def _add_number(self, digits: str) -> None:
        if len(digits) >= self._least_digits:
            self.numbers.add(digits)

    def _add_name(self, kind: Kind, name: str) -> None:
        pieces: list[str] = PIECE.findall(name)
        words = [piece.lower() for piece in pieces if not piece.isdecimal()]
        secret = [word for word in words if kind == Kind.WORD or word not in VOCABULARY]
        least = self._least_letters
        if len(pieces) == 1 or kind == Kind.WORD:
            least = min(_LEAST.get(kind, least), least)
        lasting = [word for word in secret if len(word) >= least]
        if kind == Kind.LABEL and len(pieces) > 1:
            lasting = []  # a sentence of the user's, with any words
        else:
            for piece in pieces:
                if piece.isdecimal():
                    self._add_number(piece)
            for word in lasting:
                self.words.setdefault(word, kind)
        if not secret and (kind not in EVERY_WORD or len(pieces) < 2):
            return
        if len(pieces) > 1 and (sum(map(len, words)) >= self._least_letters or kind in _LEAST):
            if RUN.fullmatch(name):
                self.wholes.setdefault(name.lower(), kind)
                self._firsts.update(_ATOM.findall(name.lower())[:1])
            elif len(lasting) < len(secret):
                self.phrases.setdefault(name, kind)

    def anywhere(self, own: Iterable[str] = ()) -> set[str]:
        """Returns all that is masked wherever it is found, in lower case.

        own  words of the user's, which are masked even as parts of words
        """
        words = {word.lower() for word in own if word.isalnum()}
        return words.union(self.numbers, self.words, self.wholes, self.macs, self.hex, self.decimal)

    def update(self, other: Originals) -> None:
        """Adds all originals of another one."""
        for kind, originals in other.by_kind.items():
            for original in originals:
                self.add(kind, original)

    def wholes_in(self, run: str) -> list[tuple[int, int, Kind]]:
        """Finds whole names in a run of words that are joined by `.`, `-` or `_`.

        Returns (start, end, kind) of each. The longest name at a place is found.
        """
        small = run.lower()
        if small in self.wholes:
            return [(0, len(run), self.wholes[small])]
        found: list[tuple[int, int, Kind]] = []
        if self._firsts.isdisjoint(_ATOM.findall(small)):
            return found
        atoms = [match.span() for match in _ATOM.finditer(small)]
        first = 0
        while first < len(atoms):
            for last in range(min(len(atoms), first + 12) - 1, first - 1, -1):
                start, end = atoms[first][0], atoms[last][1]
                if kind := self.wholes.get(small[start:end]):
                    found.append((start, end, kind))
                    first = last
                    break
            first += 1
        return found
