"""Masks what is in a word of a trace, or collects its originals.

A word is a piece of text without a blank. `PARTS` finds the places in which a trace marks a number,
a name and so on; `Words` knows the forms that are written there. All other text of a word is
compared with the originals that are known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from ipaddress import IPv6Address, ip_address
from typing import Literal

from cucmmask.dumps import like
from cucmmask.escapes import ESCAPED, escaped, unescaped
from cucmmask.finder import Finder, as_bytes
from cucmmask.masks import IPV4_IN_IPV6, Replaces, ipv6_like
from cucmmask.originals import EVERY_WORD, PIECE, RUN, WORD, Originals
from cucmmask.places import FIELDS, PARTS, PUBLIC_DOMAINS, VOCABULARY, Kind

# The most addresses and runs of words whose masks are remembered.
_REMEMBERED = 1 << 14
_NUMBER = re.compile(r"[()\[\]\\^?.,+*#XxTtPpABCDabcd!\d-]*\d[()\[\]\\^?.,+*#XxTtPp!\d-]*")
_WRITTEN_NUMBER = re.compile(r"(?:\d[-.])?\d{3}([-.])\d{3}\1\d{4}")
_GUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}")
_OF_MAC = re.compile(r"(?i)((?:SEP|ATA|VGC|BAT)?)([0-9a-f]{12})")
_OF_USER = re.compile(r"((?i:TCT|BOT|CSF|TAB))([A-Za-z0-9._-]+)")
_DOTTED = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)")
_HEXADECIMAL = re.compile("[0-9A-Fa-f]{7,}")
_MAIL = re.compile(r"[^@\s]+@[\w-]+(?:\.[\w-]+)+")
_TOKEN_IN_DUMP = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Za-z\x80-\xff._-]{3,}")
_EMPTY = ("", "[]", "()", "(null)", "NULL", "null", "\3")


class Words:
    """Masks words, or collects their originals in `found`.

    masks  makes the masks
    known  the originals; None if they are still to be collected
    own    words of the user's, which are masked even as parts of words
    blank  replaces originals by NUL characters instead of masks, to see what is left

    `anywhere` finds what is masked wherever it is.
    """

    def __init__(
        self,
        masks: Replaces,
        known: Originals | None = None,
        *,
        own: Iterable[str] = (),
        blank: bool = False,
    ) -> None:
        self.found = Originals()
        self._known = known
        self._masks = masks
        self._blank = blank
        self._mac = lru_cache(_REMEMBERED)(self._mask_mac)
        self._dotted = lru_cache(_REMEMBERED)(self._mask_dotted)
        self._run = lru_cache(_REMEMBERED)(self._mask_run)
        # What is done with a group of PARTS.
        self._work: dict[str, Callable[[str], str]] = {
            "guid_address": self._guid_address,
            "call": self._reversed,
            "reversed": self._reversed,
            "hex": self._hex,
            "dotted": self._dotted,
            "colons": self._colons,
            "user": self._party,
            "tel": self._party,
            "party": self._party,
            "mail": self._mail,
            "host": self._host,
            "of_user": partial(self._named, Kind.NAME),
            **dict.fromkeys(("phone", "tag", "session", "sep", "mac"), self._mac),
        }
        own = tuple(own)
        self.anywhere = Finder(known.anywhere(own) if known is not None else ())
        words = sorted(filter(str.isalnum, own), key=len, reverse=True)
        joined = "|".join(map(re.escape, words))
        self._phrases = {
            _bytes(phrase).decode("latin-1"): (kind, phrase)
            for phrase, kind in (known.phrases if known is not None else {}).items()
            if phrase.isprintable()
        }
        self._phrases_in_dumps = Finder({phrase.lower() for phrase in self._phrases})
        self._own_in_word = re.compile(joined, re.IGNORECASE) if joined else None

    def word(self, word: str) -> str:
        """Masks one word, or collects its originals."""
        if "%" not in word:
            return PARTS.sub(self._replace, word)
        plain, signs = unescaped(word)
        masked = "".join(PARTS.sub(self._replace, part) for part in ESCAPED.split(plain))
        if not signs:
            return masked
        return word if masked == plain else escaped(masked, signs, like=word)

    def _replace(self, match: re.Match[str]) -> str:
        group = match.lastgroup
        if group in ("run", "plain"):
            return self._run(match[0])
        assert group is not None
        text, value, start = match[0], match[group], match.start(group) - match.start()
        if group == "value":
            kind = FIELDS.get(match["field"].lower())
            new = self.word(value) if kind is None else self.field(kind, value)
        elif group == "guid_address" and match["guid"] != "0000065536":
            new = self._run(value)  # of a GUID that CUCM has not made
        else:
            new = self._work[group](value)
        return self._run(text[:start]) + new + self._run(text[start + len(value) :])

    def mask_of(self, kind: Kind, original: str) -> str:
        """Returns the mask of an original, in the form in which `found` has it."""
        if kind == Kind.ADDRESS:
            return str(ip_address(self._masks.address(ip_address(original).packed)))
        if kind == Kind.MAC:
            return self._masks.mac(original)
        if kind == Kind.NUMBER:
            return self._masks.number(original)
        return self.field(kind, original)

    # values of which the kind is known

    def field(self, kind: Kind, value: str) -> str:
        """Masks the value of a field, which may be quoted, or a list."""
        inner = value.strip("\"'").rstrip(".:")
        if inner in _EMPTY:
            return value
        if kind == Kind.SECRET:
            return re.sub(r"[^\W_]", "x", value)
        if inner[0] + inner[-1] in ("[]", "()") and "-" not in inner[:3]:  # no range of a pattern
            inner = inner[1:-1]
        # Several fields, as in `dd=tn=0npi=1ti=1nd=9999pi=1si1`, or a place that has its mask.
        if "\3" in inner or re.match(r"\w+=\S*$", inner):
            return self.word(value)
        if kind == Kind.DEVICE:  # `SEP38ED18552A12(192.0.2.55)`, `SEP38ED18552A12:jdoe`
            name = re.match("[^(:]+", inner)
            if name is not None and name[0] != inner:
                rest = inner[name.end() :]
                return value.replace(inner, self._named(kind, name[0]) + self.word(rest), 1)
        start = value.index(inner)
        if kind == Kind.NUMBER or (kind == Kind.NAME and _MAIL.fullmatch(inner)):
            masked = self._party(inner)
        elif kind == Kind.ADDRESS:
            masked = self._reversed(inner)
        elif kind == Kind.PARTITION:
            masked = ":".join(self._named(kind, one) for one in inner.split(":"))
        elif kind == Kind.HOST:
            masked = self._host(inner)
        else:
            masked = self._named(kind, inner)
        return value[:start] + masked + value[start + len(inner) :]

    def _party(self, party: str) -> str:
        """Masks what stands for a party of a call: a number, a pattern, a URI or a user."""
        user, at, host = party.partition("@")
        if at:
            return self._party(user) + at + self._host(host)
        if _GUID.fullmatch(party):
            return self._run(party)
        if not _NUMBER.fullmatch(party.replace(" ", "")):
            return self._named(Kind.NAME, party)
        return self._number(party)

    def _number(self, number: str) -> str:
        digits = re.sub(r"\[[^\]]*\]?|\D", "", number)
        if not digits:
            return number
        return self._put(Kind.NUMBER, digits, number, self._masks.number)

    def _named(self, kind: Kind, name: str) -> str:
        """Masks the name of a person, a device, a partition and so on."""
        if not name or _GUID.fullmatch(name):
            return self._run(name)
        if match := _OF_MAC.fullmatch(name):
            return match[1] + self._mac(match[2])
        if kind in (Kind.DEVICE, Kind.NAME) and (match := _OF_USER.fullmatch(name)):
            return match[1] + self._named(Kind.NAME, match[2])
        if kind == Kind.DEVICE and _is_address(name):
            return self._dotted(name)
        words = [word.lower() for word in WORD.findall(name)]
        if kind not in EVERY_WORD and VOCABULARY.issuperset(words):  # a number, or nobody's name
            return PIECE.sub(
                lambda match: self._number(match[0]) if match[0].isdecimal() else match[0], name
            )
        return self._put(kind, name.rstrip(")]"), name, lambda text: self._name(kind, text))

    def _name(self, kind: Kind, name: str) -> str:
        if kind in EVERY_WORD:
            return self._masks.name(name)
        return PIECE.sub(
            lambda match: (
                match[0] if match[0].lower() in VOCABULARY else self._masks.name(match[0])
            ),
            name,
        )

    def _host(self, host: str) -> str:
        """Masks a host name. If there are several labels, the last one stays, such as `com`."""
        name, colon, port = host.partition(":")
        if _is_address(host):
            return self._dotted(host) if "." in host else self._colons(host)
        if _is_address(name):
            return self._dotted(name) + colon + port
        if name.lower().endswith(PUBLIC_DOMAINS) or _GUID.fullmatch(name):
            return self._run(host)
        labels, dot, last = name.rpartition(".")
        if port and not port.isdecimal():
            return self._named(Kind.HOST, host)
        if not any(map(str.isalnum, labels)):
            return self._named(Kind.HOST, name) + colon + port
        if self._known is None:
            first, _, domain = name.partition(".")
            self._named(Kind.HOST, first)
            inner = domain.rpartition(".")[0]
            if self._name(Kind.HOST, inner) != inner:
                self._named(Kind.HOST, inner)
                self.found.add(Kind.HOST, domain)
        # All words of `phone.global.com` stay, so it is no original.
        if self._name(Kind.HOST, labels) != labels:
            labels = self._put(Kind.HOST, name, labels, lambda text: self._name(Kind.HOST, text))
        return labels + dot + last + colon + port

    def _mail(self, user: str) -> str:
        if re.fullmatch(r"[0-9a-fA-F]+(?:-[0-9a-fA-F]+)+", user):  # of a Call-ID
            return self._run(user)
        return self._named(Kind.NAME, user)

    def _put(self, kind: Kind, original: str, text: str, mask: Callable[[str], str]) -> str:
        """Masks `text`, which stands for an original, or adds the original to `found`."""
        if not any(map(str.isalnum, text)):
            return text
        if self._known is None:
            self.found.add(kind, original)
            return text
        if self._blank:
            return re.sub(r"[^\W_]", "\0", text)
        return mask(text)

    # addresses

    def _address(self, packed: bytes, text: str, write: Callable[[bytes], str]) -> str:
        """Masks an address for which `text` stands. `write` writes another one in its form."""
        masked = self._masks.address(packed)
        if masked == packed:
            return text
        if self._known is None:
            self.found.add(Kind.ADDRESS, str(ip_address(packed.removeprefix(IPV4_IN_IPV6))))
        return "\0" * len(text) if self._blank else write(masked)

    def _mask_dotted(self, address: str) -> str:
        try:
            packed = bytes(map(int, address.split(".")))
        except ValueError:  # a number above 255
            return address
        return self._address(packed, address, lambda masked: ".".join(map(str, masked)))

    def _colons(self, address: str) -> str:
        try:
            ip = IPv6Address(address)
        except ValueError:
            return RUN.sub(lambda match: self._run(match[0]), address)
        if "." in address:
            head, _, dotted = address.rpartition(":")
            return f"{head}:{self._dotted(dotted)}"

        text = self._address(ip.packed, address, lambda masked: ipv6_like(masked, address))
        return text.upper() if address != address.lower() else text

    def _hex(self, digits: str) -> str:
        size = 32 if digits[8:].strip("0") else 8
        masked = self._address(
            bytes.fromhex(digits[:size]),
            digits[:size],
            lambda masked: like(masked.hex(), digits),
        )
        return masked + digits[size:]

    def _reversed(self, digits: str) -> str:
        packed = bytes.fromhex(digits.zfill(8))[::-1]
        return self._address(packed, digits, lambda masked: masked[::-1].hex()[8 - len(digits) :])

    def _guid_address(self, decimal: str) -> str:
        if int(decimal) >> 32:
            return decimal
        return self._decimal(decimal, int(decimal).to_bytes(4, "little"))

    def _decimal(self, decimal: str, packed: bytes) -> str:
        order: Literal["big", "little"] = "big"
        if int(decimal) != int.from_bytes(packed):
            order = "little"
        return self._address(
            packed, decimal, lambda masked: str(int.from_bytes(masked, order)).zfill(len(decimal))
        )

    def _mask_mac(self, text: str) -> str:
        """Masks a MAC address, in which there may be signs between the digits."""
        digits = re.sub("[^0-9A-Fa-f]", "", text)
        if not digits.strip("0"):  # no address, but it may be a number
            return self._run(text)
        if self._known is None:
            self.found.add(Kind.MAC, digits.lower())
            return text
        if self._blank:
            return "\0" * len(text)
        masked = iter(like(self._masks.mac(digits.lower()), text))
        return "".join(next(masked) if sign.isalnum() else sign for sign in text)

    # all other text

    def _dotted_in_run(self, run: str) -> str:
        if len(run) in (12, 14) and _WRITTEN_NUMBER.fullmatch(run):
            return self._number(run)
        if run.count(".") > 2:
            return _DOTTED.sub(lambda match: self._dotted(match[0]), run)
        return run

    def _mask_run(self, run: str) -> str:
        """Masks what is known in a run of words, wherever that stands."""
        if len(run) < 2:  # no word of the user's is shorter
            return run
        run = self._dotted_in_run(run)
        known = self._known
        if known is None or not self.anywhere.starts(as_bytes(run)):
            return run
        parts: list[str] = []
        position = 0
        for start, end, kind in known.wholes_in(run):
            whole = run[start:end]
            if kind == Kind.ADDRESS:
                sign = "-" if "-" in whole else "_"
                masked = self._dotted(whole.replace(sign, ".")).replace(".", sign)
            else:
                masked = self._host(whole) if kind == Kind.HOST else self._named(kind, whole)
            parts += [self._pieces(run[position:start], known), masked]
            position = end
        return "".join([*parts, self._pieces(run[position:], known)])

    def _pieces(self, text: str, known: Originals) -> str:
        def hexadecimal(match: re.Match[str]) -> str:
            digits = match[0].lower()
            if digits in known.hex:
                is_reversed = known.hex[digits].hex() != digits
                return self._reversed(match[0]) if is_reversed else self._hex(match[0])
            for start in (0, len(digits) - 12):
                if digits[start : start + 12] in known.macs:
                    text = match[0]
                    return text[:start] + self._mac(text[start : start + 12]) + text[start + 12 :]
            return match[0]

        def piece(match: re.Match[str]) -> str:
            if match[0].isdecimal():
                if match[0] in known.numbers:
                    return self._put(Kind.NUMBER, match[0], match[0], self._masks.number)
                if match[0] in known.decimal:
                    return self._decimal(match[0], known.decimal[match[0]])
            elif kind := known.words.get(match[0].lower()):
                return self._put(kind, match[0], match[0], self._masks.name)
            return match[0]

        text = _HEXADECIMAL.sub(hexadecimal, text)
        if self._own_in_word:
            text = self._own_in_word.sub(
                lambda match: self._put(Kind.WORD, match[0], match[0], self._masks.name), text
            )
        return PIECE.sub(piece, text)

    def dumped(self, content: bytes) -> bytes:
        """Masks numbers and known names in the bytes of a hex dump, and known addresses."""
        parts, position = b"", 0
        text = content.decode("latin-1")
        for start, end, _ in self._phrases_in_dumps.find(text):
            kind_and_phrase = self._phrases.get(text[start:end])
            if kind_and_phrase is not None and start >= position:
                masked = _bytes(self.field(*kind_and_phrase)).ljust(end - start, b"\0")
                parts += _TOKEN_IN_DUMP.sub(self._token, content[position:start]) + masked
                position = end
        content = parts + _TOKEN_IN_DUMP.sub(self._token, content[position:])
        if self._known is None or not self.anywhere.starts(content.hex().encode()):
            return content
        at = 0
        while at < len(content) - 3:
            mac, address = content[at : at + 6].hex(), content[at : at + 4]
            before = after = b""
            if mac in self._known.macs:
                before, after = content[at : at + 6], bytes.fromhex(self._masks.mac(mac))
            elif packed := self._known.hex.get(address.hex()):
                before, after = address, self._masks.address(packed)
                if packed != address:
                    after = after[::-1]
            if before:
                after = bytes(len(after)) if self._blank else after
                content = content[:at] + after + content[at + len(after) :]
            at += len(before) or 1
        return content

    def _token(self, token: re.Match[bytes]) -> bytes:
        """Masks letters and digits in a hex dump. Their number of bytes stays the same."""

        def piece(match: re.Match[str]) -> str:
            number = match[0].isdecimal() and len(match[0]) > 2
            return self._number(match[0]) if number else self._run(match[0])

        text = token[0].decode("utf-8", "surrogateescape")
        mac = _OF_MAC.fullmatch(text)
        if mac is not None and (mac[1] or (self._known and text.lower() in self._known.macs)):
            text = mac[1] + self._mac(mac[2])
        elif _DOTTED.fullmatch(text):
            text = self._number(text)  # the mask as an address could be longer
        else:
            parts, position = "", 0
            for start, end, kind in self._known.wholes_in(text) if self._known else ():
                if kind != Kind.ADDRESS:  # the mask of an address could be longer
                    parts += PIECE.sub(piece, text[position:start]) + self._run(text[start:end])
                    position = end
            text = parts + PIECE.sub(piece, text[position:])
        # A NUL character has one byte, which the letter that it replaces may not have.
        return _bytes(text).ljust(len(token[0]), b"\0")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
