"""Computes masks: the same original always has the same mask, under the same key.

Nothing is looked up. Each character is replaced through a permutation of its alphabet, and HMAC
with the key chooses the permutation. So different originals have different masks, and a mask has
the length of its original.

    number      The permutation depends on the digits before. So numbers with a common prefix have
                masks with a common prefix. No digit is ever mapped to itself.
    address     As Crypto-PAn: two addresses share as many leading bits as their masks do. But the
                first byte is replaced as a whole, and so is the second one of 172.16.0.0/12. A
                private address stays private; loopback, multicast and netmasks do not change.
    MAC         The masks of devices of one vendor have the same first half.
    name        Each word is mapped as a whole: similar words have unrelated masks. Upper and lower
                case does not matter for the mask, and is kept.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Protocol

# Originals whose masks are remembered. Masks of others are computed again.
_REMEMBERED = 1 << 16

# An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) begins with this.
IPV4_IN_IPV6 = bytes(10) + b"\xff\xff"

_HEX = "0123456789abcdef"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# First octets of addresses that stay: "this" network, loopback, multicast, netmasks, broadcast.
_SPECIAL_OCTETS = (0, 127, *range(224, 256))
# First octet -> the second octets with which an address is private, or link-local.
_PARTLY_PRIVATE = {169: (254,), 172: tuple(range(16, 32)), 192: (168,)}
_OTHER_OCTETS = [octet for octet in range(1, 224) if octet not in (10, 127, *_PARTLY_PRIVATE)]
_WORDS = re.compile(r"([0-9]+)|([^\W\d_]+)")
_RANGES = re.compile(r"(\[[^\]]*\]?)")


class Replaces(Protocol):
    """What `Masks` does, and `Unmasks` reverses."""

    @property
    def number(self) -> Callable[[str], str]: ...
    @property
    def address(self) -> Callable[[bytes], bytes]: ...
    @property
    def mac(self) -> Callable[[str], str]: ...
    @property
    def name(self) -> Callable[[str], str]: ...


class Masks:
    """Computes the masks that belong to `key`."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._permutation = lru_cache(_REMEMBERED)(self._make_permutation)
        self._octets = lru_cache(_REMEMBERED)(self._make_octets)
        self._word = lru_cache(_REMEMBERED)(self._make_word)
        self.number = lru_cache(_REMEMBERED)(self._make_number)
        self.address = lru_cache(_REMEMBERED)(self._make_address)
        self.mac = lru_cache(_REMEMBERED)(self._make_mac)
        self.name = lru_cache(_REMEMBERED)(self._make_name)

    def _make_number(self, number: str) -> str:
        """Returns the mask of a number or a pattern. All but the digits stays: `+`, `X`, `[2-9]`.

        Characters that are no digits do not count as a prefix, so +1408 and 1408 have the same
        digits.
        """
        masked, before = "", ""
        for part in _RANGES.split(number):
            if part.startswith("["):
                masked += part
                continue
            for character in part:
                if character.isascii() and character.isdecimal():
                    masked += str(self._permutation("number " + before, 10)[int(character)])
                    before += character
                else:
                    masked += character
        return masked

    def _make_address(self, address: bytes) -> bytes:
        """Returns the mask of an address of 4 or 16 bytes."""
        if len(address) == 16:
            if address.startswith(IPV4_IN_IPV6):
                return IPV4_IN_IPV6 + self.address(address[12:])
            return self._address6(address)
        first, second = address[:2]
        if first in _SPECIAL_OCTETS:
            return address
        octets = self._octets(address[:1])
        private = _PARTLY_PRIVATE.get(first, ())
        if second in private:
            order = self._permutation("private", len(private))
            masked = private[order[private.index(second)]]
        else:
            masked = octets[second]
            while masked in private:  # what is not private must not seem to be so
                masked = octets[masked]
        rest = (self._octets(address[:at])[address[at]] for at in (2, 3))
        return bytes((self._octets(b"")[first], masked, *rest))

    def _address6(self, address: bytes) -> bytes:
        """Masks the hexadecimal digits one by one.

        Zeros at the beginning of a group stay, and groups of zeros too. So the written mask is as
        long as the written original, however that is shortened.
        """
        ip = IPv6Address(address)
        if ip.is_unspecified or ip.is_loopback or ip.is_multicast:
            return address
        digits = address.hex()
        kept = 16 if ip.is_link_local else 2
        masked = digits[:kept]
        for at in range(kept, 32):
            group = digits[at - at % 4 : at]
            low = 0 if group.strip("0") else 1  # a zero here would be left out when written
            if low and digits[at] == "0":
                masked += "0"
                continue
            order = self._permutation("address6 " + digits[:at], 16 - low)
            masked += _HEX[order[int(digits[at], 16) - low] + low]
        return bytes.fromhex(masked)

    def _make_mac(self, mac: str) -> str:
        """Returns the mask of a MAC address, given as 12 hexadecimal digits in lower case.

        The first half, which is of the vendor, is masked like a number; the other by a Feistel
        network.
        """
        vendor = "".join(
            _HEX[self._permutation("mac " + mac[:at], 16)[int(digit, 16)]]
            for at, digit in enumerate(mac[:6])
        )
        left, right = int(mac[6:9], 16), int(mac[9:], 16)
        for turn in range(4):
            changed = left ^ self._digest(f"mac {mac[:6]} {turn} {right}") & 0xFFF
            left, right = right, changed
        return f"{vendor}{left:03x}{right:03x}"

    def _make_name(self, name: str) -> str:
        """Returns the mask of a name. Its words and numbers are masked, and the rest stays."""
        return _WORDS.sub(lambda m: self.number(m[1]) if m[1] else self._cased(m[2]), name)

    def _cased(self, word: str) -> str:
        """Masks a word. Its letters have the case of the original, and as many bytes in UTF-8."""
        lower = "".join(map(_lower, word))
        masked = self._word(lower)
        return "".join(
            after if before == small else _upper(after)
            for before, small, after in zip(word, lower, masked, strict=True)
        )

    def _make_word(self, word: str) -> str:
        """Maps a word in lower case to another one, in both directions uniquely.

        Each letter moves by a number of places that depends on all the others, twice.
        """
        letters = list(word)
        for turn in range(2):
            for at, letter in enumerate(letters):
                alphabet = _alphabet(letter)
                if len(alphabet) < 2:
                    continue
                others = f"word {turn} {at} {''.join(letters[:at])} {''.join(letters[at + 1 :])}"
                move = self._digest(others) % (len(alphabet) - 1) + 1
                letters[at] = alphabet[(alphabet.index(letter) + move) % len(alphabet)]
        return "".join(letters)

    def _make_permutation(self, what: str, size: int) -> tuple[int, ...]:
        """Returns a permutation that maps nothing to itself (by the algorithm of Sattolo).

        There are at most 16! permutations, so the 256 bits of an HMAC are enough to choose one.
        """
        order = list(range(size))
        choice = self._digest(what)
        for last in range(size - 1, 0, -1):
            choice, other = divmod(choice, last)
            order[last], order[other] = order[other], order[last]
        return tuple(order)

    def _make_octets(self, before: bytes) -> tuple[int, ...]:
        """Returns the permutation of an octet behind the octets `before`.

        Each bit of the octet is flipped, or not, as a function of the bits before. In the last
        octet zeros at the beginning stay: 10.1.2.0 remains a network, and an address that CUCM
        writes with seven hexadecimal digits, because the eighth would be 0, keeps seven.
        """
        if not before:
            ranked = sorted(_OTHER_OCTETS, key=lambda octet: self._digest(f"first {octet}"))
            places = dict(zip(ranked, [*ranked[1:], ranked[0]], strict=True))
            return tuple(places.get(octet, octet) for octet in range(256))
        flips = self._digest(f"address {before.hex()}")
        masked = []
        for octet in range(256):
            node, result = 1, 0
            for bit in range(7, -1, -1):
                flip = flips >> node & 1
                if len(before) == 3 and node & (node - 1) == 0:  # only zeros so far
                    flip = 0
                value = octet >> bit & 1
                result = result << 1 | value ^ flip
                node = node << 1 | value
            masked.append(result)
        return tuple(masked)

    def _digest(self, what: str) -> int:
        return int.from_bytes(
            hmac.digest(self._key, what.encode("utf-8", "surrogatepass"), "sha256")
        )


def ipv6_like(address: bytes, text: str) -> str:
    """Writes an IPv6 address in the form of `text`: with as many digits, and `::` at that place."""
    groups = address.hex(":", 2).split(":")
    front, gap, back = text.partition("::")
    before, after = front.split(":"), back.split(":") if back else []
    # A group is not cut: an IPv4 address written as `::ffff:e30:205a` can get longer.
    left = (
        new[-max(len(old), len(new.lstrip("0"))) :] if old else ""
        for new, old in zip(groups, before, strict=False)
    )
    right = (
        new[-max(len(old), len(new.lstrip("0"))) :]
        for new, old in zip(groups[8 - len(after) :], after, strict=True)
    )
    return ":".join(left) + gap + ":".join(right)


def _lower(letter: str) -> str:
    lower = letter.lower()
    return lower if _upper(lower) == letter else letter


def _upper(letter: str) -> str:
    upper = letter.upper()
    return upper if len(upper) == 1 and len(_utf8(upper)) == len(_utf8(letter)) else letter


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@lru_cache(_REMEMBERED)
def _alphabet(letter: str) -> str:
    """Returns the letters by which a letter may be replaced, with as many bytes in UTF-8.

    They are all written in the same case. Letters that have no other case stay apart.
    """
    if letter in _LETTERS:
        return _LETTERS
    block = ord(letter) & ~63  # the last byte in UTF-8 has 6 bits of the letter
    form = (letter.islower(), _lower(letter) == letter, _upper(letter) != letter)
    found = (chr(code) for code in range(block, block + 64))
    return "".join(
        other
        for other in found
        if other.isalpha()
        and (other.islower(), _lower(other) == other, _upper(other) != other) == form
    )
