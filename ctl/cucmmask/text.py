"""Reads text of traces: collects the originals, and replaces them by their masks.

The text is cut into words at blanks, and these at a few signs. The same word always gives the same
result, so each is worked on once, and the result is remembered: most of a trace is repetition. What
a word alone does not show is looked for first: names with blanks, and hex dumps, in which a value
can go on in the next row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from cucmmask.masks import IPV4_IN_IPV6
from cucmmask.originals import EVERY_WORD, PIECE, WORD, Originals
from cucmmask.places import (
    DUMP,
    DUMP_GAP,
    DUMP_TRIGGER,
    ESCAPED,
    FIELDS,
    PARTS,
    PROCESS,
    PUBLIC_DOMAINS,
    REVERSED_ADDRESS,
    SPANS,
    VOCABULARY,
    Kind,
)

# Cuts a word further. Signs behind a part are taken with it, so that there is less to look up.
_CUT = re.compile(r"[^\t\r\n\1\2,;^|]+[\t\r\n\1\2,;^|]*|[\t\r\n\1\2,;^|]+")
# Words that hold nothing are not worth a closer look: times, counters, short numbers, and the call
# identifiers of CUCM. Numbers with six digits may be known.
_HARMLESS = re.compile(
    r"(?:\|?(?:\d+,)+\d+\.\d+|\d{8}\.\d{3}|\d\d?:\d\d:\d\d(?:\.\d+)?|\W+|[\[(]?0{0,6}\d{1,5}[\])]?(?:\.\d{1,5})?"
    r"|[Cc][Ii]=\[?\d+\]?|[A-Za-z]+\(\d{1,5})[ \t\r\n\1\2,;^|]*+"
)
# Characters of a hex dump that are kept together.
_LONGEST_DUMP = 1 << 16
# Words, and parts of words, of which the results are remembered.
_REMEMBERED = 1 << 16
_NUMBER = re.compile(r"[()\[\]\\^?.,+*#XxTtPpABCDabcd!\d-]*\d[()\[\]\\^?.,+*#XxTtPp!\d-]*")
_GUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}")
_OF_MAC = re.compile(r"(?i)((?:SEP|ATA|VGC|BAT)?)([0-9a-f]{12})")
_OF_USER = re.compile(r"((?i:TCT|BOT|CSF|TAB))([A-Za-z0-9._-]+)")
_DOTTED = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)")
_DIGITS_IN_DUMP = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}|\d{3,}")
_WORD_IN_DUMP = re.compile(rb"[A-Za-z\x80-\xff]{3,}")


_TRIGGERS = frozenset(span.trigger for span in SPANS)


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


class _Memo(dict[str, str]):
    """Remembers the result for each text, up to a number of texts."""

    def __init__(self, work: Callable[[str], str]) -> None:
        self._work = work

    def __missing__(self, text: str) -> str:
        if len(self) > _REMEMBERED:
            self.clear()
        result = self[text] = self._work(text)
        return result


class Text:
    """Masks text, or collects its originals.

    masks    makes the masks
    known    the originals; None if they are still to be collected
    own      words of the user's, which are masked even as parts of words
    blank    replaces originals by NUL characters instead of masks, to see what is left
    check    is called with each new part of a text, and what it has become
    """

    def __init__(
        self,
        masks: Replaces,
        known: Originals | None = None,
        *,
        own: Iterable[str] = (),
        blank: bool = False,
        check: Callable[[str, str], None] = lambda before, after: None,
    ) -> None:
        self.found = Originals()
        self._known = known
        self._masks = masks
        self._blank = blank
        self._check = check
        self._mac = lru_cache(_REMEMBERED)(self._mask_mac)
        self._dotted = lru_cache(_REMEMBERED)(self._mask_dotted)
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
        self._words = _Memo(self._mask_word)
        self._parts = _Memo(self._mask_part)
        self._seen_words: set[str] = set()
        self._seen_parts: set[str] = set()
        self._own = sorted(own, key=len, reverse=True)
        joined = "|".join(re.escape(word) for word in self._own if word.isalnum())
        self._own_in_word = re.compile(joined, re.IGNORECASE) if joined else None
        if known is None:
            for word in self._own:
                self.found.add(Kind.WORD, word)

    def mask(self, text: str) -> str:
        """Returns the text with masks. A line must be whole, and so must a hex dump."""
        parts: list[str] = []
        position = 0
        for start, end, replacement in self._places(text):
            if start >= position:
                new = replacement()
                self._check(text[start:end], new)
                parts += (self._mask_words(text[position:start]), new)
                position = end
        return "".join([*parts, self._mask_words(text[position:])])

    def _mask_words(self, text: str) -> str:
        glued = _can_be_glued(text)
        masked = " ".join(map(self._words.__getitem__, _words_of(text, glued=glued)))
        return masked.replace("\2 ", "").replace("\1", " ") if glued else masked

    def _mask_word(self, word: str) -> str:
        if self._is_harmless(word):
            return word
        parts = _CUT.findall(word)
        if len(parts) == 1:
            return self._mask_harmful(word)
        return "".join([self._parts[part] for part in parts])

    def _mask_part(self, part: str) -> str:
        return part if self._is_harmless(part) else self._mask_harmful(part)

    def _mask_harmful(self, part: str) -> str:
        masked = self.word(part)
        self._check(part, masked)
        return masked

    def collect(self, text: str) -> None:
        """Adds the originals in the text to `found`."""
        for word in self.new_words(text):
            self.word(word)

    def new_words(self, text: str) -> list[str]:
        """Returns the words that were not seen before, and collects from places with blanks."""
        words: set[str] = set()
        glued = _can_be_glued(text)
        position = 0
        for start, end, replacement in self._places(text):
            if start >= position:
                words.update(_words_of(text[position:start], glued=glued))
                replacement()
                position = end
        words.update(_words_of(text[position:], glued=glued))
        parts: set[str] = set()
        for word in _new(words, self._seen_words):
            parts.update(_CUT.findall(word))
        return [part for part in _new(parts, self._seen_parts) if not _HARMLESS.fullmatch(part)]

    def mask_of(self, kind: Kind, original: str) -> str:
        """Returns the mask of an original, in the form in which `found` has it."""
        if kind == Kind.ADDRESS:
            return str(ip_address(self._masks.address(ip_address(original).packed)))
        if kind == Kind.MAC:
            return self._masks.mac(original)
        if kind == Kind.NUMBER:
            return self._masks.number(original)
        return self._field(kind, original)

    # places with blanks

    def _places(self, text: str) -> list[tuple[int, int, Callable[[], str]]]:
        """Finds the places that a word alone does not show: (start, end, what replaces it)."""
        found: list[tuple[int, int, Callable[[], str]]] = []
        here = {trigger for trigger in _TRIGGERS if trigger in text}
        for span in SPANS:
            if span.trigger in here:
                for match in span.pattern.finditer(text):
                    value = span.pattern.groups
                    kind = span.kind or FIELDS.get(match["field"].lower())
                    if kind is not None:
                        found.append((*match.span(value), partial(self._field, kind, match[value])))
        if "TCPPid" in text:
            found += ((*match.span(1), partial(str, match[1])) for match in PROCESS.finditer(text))
        if "myIP: " in text:
            found += (
                (*match.span(1), partial(self._reversed, match[1]))
                for match in REVERSED_ADDRESS.finditer(text)
            )
        for phrase, kind in self._phrases():
            start = text.find(phrase)
            while start >= 0:
                end = start + len(phrase)
                found.append((start, end, partial(self._field, kind, phrase)))
                start = text.find(phrase, end)
        found += ((start, end, partial(str, new)) for start, end, new in self._dumps(text))
        found.sort(key=lambda place: (place[0], -place[1]))
        return found

    def _phrases(self) -> Iterator[tuple[str, Kind]]:
        if self._known is not None:
            yield from self._known.phrases.items()
        for word in self._own:
            if not word.isalnum():
                yield word, Kind.WORD

    # words

    def word(self, word: str) -> str:
        """Masks one word, or collects its originals."""
        if "%" in word:
            return "".join(PARTS.sub(self._replace, part) for part in ESCAPED.split(word))
        return PARTS.sub(self._replace, word)

    def _replace(self, match: re.Match[str]) -> str:
        group = match.lastgroup
        if group == "run":
            return self._run(match[0])
        assert group is not None
        text, value, start = match[0], match[group], match.start(group) - match.start()
        if group == "value":
            kind = FIELDS.get(match["field"].lower())
            new = self.word(value) if kind is None else self._field(kind, value)
        elif group == "guid_address" and match["guid"] != "0000065536":
            new = self._other_guid(value)
        else:
            new = self._work[group](value)
        return self._run(text[:start]) + new + self._run(text[start + len(value) :])

    def _is_harmless(self, word: str) -> bool:
        if not _HARMLESS.fullmatch(word):
            return False
        return self._known is None or word.strip(" \t\r\n\1\2,;^|()[].") not in self._known.numbers

    def _field(self, kind: Kind, value: str) -> str:
        """Masks the value of a field, which may be quoted, or a list."""
        inner = value.strip("\"'").rstrip(".:")
        if inner in ("", "[]", "()", "(null)", "NULL", "null"):
            return value
        if inner[0] + inner[-1] in ("[]", "()") and "-" not in inner[:3]:  # no range of a pattern
            inner = inner[1:-1]
        if "=" in inner and " " not in inner:  # several fields: `dd=tn=0npi=1ti=1nd=9999pi=1si1`
            return self.word(value)
        if kind == Kind.DEVICE:  # `SEP38ED18552A12(192.0.2.55)`, `SEP38ED18552A12:jdoe`
            name = re.match("[^(:]+", inner)
            if name is not None and name[0] != inner:
                rest = inner[name.end() :]
                return value.replace(inner, self._named(kind, name[0]) + self.word(rest), 1)
        start = value.index(inner)
        if kind == Kind.NUMBER:
            masked = self._party(inner)
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
        if not _NUMBER.fullmatch(party):
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
            return PIECE.sub(self._vocabulary_or_number, name)
        return self._put(kind, name.rstrip(")]"), name, lambda text: self._name(kind, text))

    def _vocabulary_or_number(self, match: re.Match[str]) -> str:
        return self._number(match[0]) if match[0].isdecimal() else match[0]

    def _name(self, kind: Kind, name: str) -> str:
        if kind in EVERY_WORD:
            return self._masks.name(name)
        return PIECE.sub(self._mask_piece, name)

    def _mask_piece(self, match: re.Match[str]) -> str:
        return match[0] if match[0].lower() in VOCABULARY else self._masks.name(match[0])

    def _host(self, host: str) -> str:
        """Masks a host name. The last label of several stays, for it is `com` or the like."""
        name, colon, port = host.partition(":")
        if _is_address(host):
            return self._dotted(host) if "." in host else self._colons(host)
        if _is_address(name):
            return self._dotted(name) + colon + port
        small = name.lower()
        if small.endswith(PUBLIC_DOMAINS) or _GUID.fullmatch(name):
            return self._run(host)
        labels, dot, last = name.rpartition(".")
        if not dot:
            return self._named(Kind.HOST, name) + colon + port
        if self._known is None:
            first, _, domain = name.partition(".")
            self._named(Kind.HOST, first)
            if "." in domain:
                self._named(Kind.HOST, domain.rpartition(".")[0])
                self.found.add(Kind.HOST, domain)
        return (
            self._put(Kind.HOST, name, labels, lambda text: self._name(Kind.HOST, text))
            + dot
            + last
            + colon
            + port
        )

    def _mail(self, user: str) -> str:
        if re.fullmatch(r"[0-9a-fA-F]+(?:-[0-9a-fA-F]+)+", user):  # of a Call-ID
            return self._run(user)
        return self._named(Kind.NAME, user)

    # addresses

    def _address(self, packed: bytes) -> bytes:
        original = str(ip_address(packed.removeprefix(IPV4_IN_IPV6)))
        masked = self._masks.address(packed)
        if masked == packed:
            return packed
        if self._known is None:
            self.found.add(Kind.ADDRESS, original)
        return masked

    def _mask_dotted(self, address: str) -> str:
        try:
            packed = bytes(map(int, address.split(".")))
        except ValueError:  # a number above 255
            return address
        return self._shown(packed, address, lambda masked: ".".join(map(str, masked)))

    def _colons(self, address: str) -> str:
        try:
            ip = IPv6Address(address)
        except ValueError:
            return self._run(address) if self._known is not None else address
        if "." in address:
            head, _, dotted = address.rpartition(":")
            return f"{head}:{self._dotted(dotted)}"

        def shown(masked: bytes) -> str:
            groups = masked.hex(":", 2).split(":")
            front, gap, back = address.partition("::")
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

        text = self._shown(ip.packed, address, shown)
        return text.upper() if address != address.lower() else text

    def _shown(self, packed: bytes, text: str, show: Callable[[bytes], str]) -> str:
        masked = self._address(packed)
        if masked == packed:
            return text
        return "\0" * len(text) if self._blank else show(masked)

    def _hex(self, digits: str) -> str:
        if len(digits) == 32 and digits[8:].strip("0"):
            return self._shown(
                bytes.fromhex(digits), digits, lambda masked: _like(masked.hex(), digits)
            )
        first = digits[:8]
        masked = self._shown(
            bytes.fromhex(first), first, lambda masked: _like(masked.hex(), digits)
        )
        return masked + digits[8:]

    def _reversed(self, digits: str) -> str:
        packed = bytes.fromhex(digits.zfill(8))[::-1]
        return self._shown(packed, digits, lambda masked: masked[::-1].hex()[8 - len(digits) :])

    def _guid_address(self, decimal: str) -> str:
        if int(decimal) >> 32:
            return decimal
        packed = int(decimal).to_bytes(4, "little")
        return self._shown(
            packed, decimal, lambda masked: f"{int.from_bytes(masked, 'little'):010}"
        )

    def _other_guid(self, decimal: str) -> str:
        """Masks the last group of a GUID that CUCM has not made, if it is a known address."""
        known = self._known
        if known is not None and not int(decimal) >> 32 and f"{int(decimal):08x}" in known.hex:
            return self._guid_address(decimal)
        return decimal

    def _mask_mac(self, text: str) -> str:
        """Masks a MAC address, in which there may be signs between the digits."""
        digits = re.sub("[^0-9A-Fa-f]", "", text)
        if not digits.strip("0"):
            return text
        if self._known is None:
            self.found.add(Kind.MAC, digits.lower())
            return text
        if self._blank:
            return "\0" * len(text)
        masked = iter(_like(self._masks.mac(digits.lower()), text))
        return "".join(next(masked) if sign.isalnum() else sign for sign in text)

    # all other text

    def _run(self, run: str) -> str:
        """Masks what is known in a run of words, wherever that stands."""
        if len(run) < 2:  # no word of the user's is shorter
            return run
        if run.count(".") > 2:
            run = _DOTTED.sub(lambda match: self._dotted(match[0]), run)
        known = self._known
        if known is None:
            return run
        parts: list[str] = []
        position = 0
        for start, end, kind in known.wholes_in(run):
            whole = run[start:end]
            masked = self._host(whole) if kind == Kind.HOST else self._named(kind, whole)
            parts += [self._pieces(run[position:start]), masked]
            position = end
        return "".join([*parts, self._pieces(run[position:])])

    def _pieces(self, text: str) -> str:
        known = self._known
        assert known is not None
        if len(text) >= 8 and (known.macs or known.hex):
            text = re.sub("[0-9A-Fa-f]{8,}", self._hexadecimal, text)
        if self._own_in_word:
            text = self._own_in_word.sub(
                lambda match: self._put(Kind.WORD, match[0], match[0], self._masks.name), text
            )
        return PIECE.sub(self._piece, text)

    def _piece(self, match: re.Match[str]) -> str:
        known, piece = self._known, match[0]
        assert known is not None
        if piece.isdecimal():
            if piece in known.numbers:
                return self._put(Kind.NUMBER, piece, piece, self._masks.number)
        elif kind := known.words.get(piece.lower()):
            return self._put(kind, piece, piece, self._masks.name)
        return piece

    def _hexadecimal(self, match: re.Match[str]) -> str:
        known, digits = self._known, match[0].lower()
        assert known is not None
        if len(digits) == 8 and digits in known.hex:
            packed = bytes.fromhex(digits)
            reverse = known.hex[digits] != packed
            return self._reversed(match[0]) if reverse else self._hex(match[0])
        for start in (0, len(digits) - 12):
            if digits[start : start + 12] in known.macs:
                text = match[0]
                return text[:start] + self._mac(text[start : start + 12]) + text[start + 12 :]
        return match[0]

    def _put(self, kind: Kind, original: str, text: str, mask: Callable[[str], str]) -> str:
        if self._known is None:
            self.found.add(kind, original)
            return text
        if self._blank:
            return re.sub(r"[^\W_]", "\0", text)
        return mask(text)

    # hex dumps

    def _dumps(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yields (start, end, what replaces it) for rows of hex dumps.

        The rows of one dump are read as one, because a value can go on in the next row.
        """
        if not DUMP_TRIGGER.search(text):
            return
        rows: list[re.Match[str]] = []
        for match in DUMP.finditer(text):
            if rows and not DUMP_GAP.fullmatch(text, rows[-1].end(), match.start()):
                yield from self._masked_rows(rows)
                rows = []
            rows.append(match)
        yield from self._masked_rows(rows)

    def _masked_rows(self, rows: list[re.Match[str]]) -> Iterator[tuple[int, int, str]]:
        contents = [bytes.fromhex(row["bytes"]) for row in rows]
        before = b"".join(contents)
        after = self._mask_bytes(before)
        if after == before:
            return
        position = 0
        for row, content in zip(rows, contents, strict=True):
            masked = after[position : position + len(content)]
            position += len(content)
            digits = iter(_like(masked.hex(), row["bytes"]))
            new = "".join(sign if sign == " " else next(digits) for sign in row["bytes"])
            yield (*row.span("bytes"), new)
            shown = row["text"] or ""
            if len(content) <= len(shown):
                column = "".join(
                    chr(now) if was != now else sign
                    for was, now, sign in zip(content, masked, shown, strict=False)
                )
                start = row.start("text")
                yield start, start + len(column), column

    def _mask_bytes(self, content: bytes) -> bytes:
        """Masks digits and known names in bytes, and known addresses of four bytes."""

        def digits(match: re.Match[bytes]) -> bytes:
            return self._number(match[0].decode()).encode()

        def word(match: re.Match[bytes]) -> bytes:
            return self._run(match[0].decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )

        content = _WORD_IN_DUMP.sub(word, _DIGITS_IN_DUMP.sub(digits, content))
        for form, packed in self._known.hex.items() if self._known is not None else ():
            raw = bytes.fromhex(form)
            if raw in content:
                masked = self._address(packed)
                if self._blank:
                    masked = b"\0\0\0\0"
                content = content.replace(raw, masked if raw == packed else masked[::-1])
        return content


def whole_lines(text: str) -> int:
    """Returns where a text can be cut: behind a line, and not within a hex dump."""
    end = text.rfind("\n") + 1
    cut = end
    while cut and end - cut < _LONGEST_DUMP:
        before = text.rfind("\n", 0, cut - 1) + 1
        if not DUMP.search(text, before, cut):
            return cut
        cut = before
    return end


def _words_of(text: str, *, glued: bool) -> list[str]:
    """Cuts a text at blanks, and if `glued` also behind ends of lines.

    For that, these get the character 2 and a blank, and several blanks become 1 characters that
    stay with the word before. Most words are repetitions then. `_mask_words` joins them again.
    """
    if glued:
        text = text.replace("  ", "\1\1").replace("\n", "\n\2 ")
    return text.split(" ")


def _can_be_glued(text: str) -> bool:
    return "\1" not in text and "\2" not in text


def _new(texts: set[str], seen: set[str]) -> set[str]:
    """Returns the texts that were not seen before, and remembers them."""
    if len(seen) > _REMEMBERED:
        seen.clear()
    texts -= seen
    seen |= texts
    return texts


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _like(digits: str, text: str) -> str:
    """Returns hexadecimal digits in the case of `text`."""
    return digits.upper() if text.upper() == text and text.lower() != text else digits
