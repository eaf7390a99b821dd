"""Reverses masks with the map that was kept when they were made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address

from cucmmask.masks import IPV4_IN_IPV6
from cucmmask.originals import PIECE, Originals
from cucmmask.places import Kind
from cucmmask.text import Text

# What somebody writes about a trace marks nothing as a number or a name. So masks are replaced
# anywhere in it, even masks that are too short for masking to replace them anywhere. The price: a
# year that happens to be the mask of a number is replaced, too.
_LEAST_DIGITS, _LEAST_LETTERS = 4, 3


def unmask(text: str, made: Mapping[str, Mapping[str, str]]) -> str:
    """Returns the text with originals in place of the masks that are known.

    made  name of a kind -> mask -> original, as `Bundle.map` returns it
    """
    masks = {Kind[kind]: pairs.keys() for kind, pairs in made.items() if kind in Kind.__members__}
    known = Originals(masks, least_digits=_LEAST_DIGITS, least_letters=_LEAST_LETTERS)
    return Text(Unmasks(made), known).mask(text)


class Unmasks:
    """Turns masks back into originals. A mask that is not in the map stays as it is."""

    def __init__(self, made: Mapping[str, Mapping[str, str]]) -> None:
        self._numbers = dict(made.get("NUMBER", {}))
        self._macs = made.get("MAC", {})
        self._addresses = made.get("ADDRESS", {})
        self._words: dict[str, str] = {}
        for kind, pairs in made.items():
            if kind not in ("NUMBER", "MAC", "ADDRESS"):
                for mask, original in pairs.items():
                    pieces = zip(PIECE.findall(mask), PIECE.findall(original), strict=False)
                    for new, old in pieces:
                        if new.isdecimal():
                            self._numbers.setdefault(new, old)
                        else:
                            self._words.setdefault(new.lower(), old.lower())

    def number(self, number: str) -> str:
        digits = re.sub(r"\[[^\]]*\]?|\D", "", number)
        original = self._numbers.get(digits)
        if original is None:
            return number
        following = iter(original)
        parts = re.split(r"(\[[^\]]*\]?)", number)
        return "".join(
            part if part.startswith("[") else re.sub(r"\d", lambda _: next(following), part)
            for part in parts
        )

    def address(self, address: bytes) -> bytes:
        if address.startswith(IPV4_IN_IPV6):
            return IPV4_IN_IPV6 + self.address(address[12:])
        original = self._addresses.get(str(ip_address(address)))
        return address if original is None else ip_address(original).packed

    def mac(self, mac: str) -> str:
        return self._macs.get(mac, mac)

    def name(self, name: str) -> str:
        return PIECE.sub(lambda match: self._piece(match[0]), name)

    def _piece(self, piece: str) -> str:
        if piece.isdecimal():
            return self.number(piece)
        original = self._words.get(piece.lower(), piece)
        if len(original) != len(piece):
            return original
        return "".join(
            old.upper() if new != new.lower() else old
            for new, old in zip(piece, original, strict=True)
        )
