"""Reads text of traces: collects the originals, and replaces them by their masks.

Most of a trace is repetition. So a text is cut into words, and only words that were not seen before
are looked at; all that is done with the text as a whole is done by functions in C:

    1. Places that contain blanks, and rows of hex dumps, are replaced by the character U+0003.
    2. The rest is cut into words. New words are searched for originals that are known.
    3. New words without a known original are dropped if they mark nothing, as times, counters and
       names of functions do. These are most of the new words. `Words` gets the others.
    4. Words are replaced by their masks and joined, and each U+0003 by the masked place.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cucmmask.dumps import content_of, dumps_in, written
from cucmmask.finder import Find, Finder
from cucmmask.masks import Replaces
from cucmmask.originals import Originals
from cucmmask.places import FIELDS, SPANS, Kind, Span
from cucmmask.words import Words

# Most places in PARTS need a sign such as `=` or `@`. These need none: names of devices, and tags
# and identifiers of sessions.
_DEVICES = {"sep", "ata", "vgc", "bat", "tct", "bot", "csf", "tab"}
_IDENTIFIER = re.compile("[0-9a-f]{24}")
# Sorts words that are joined by blanks. `field` matches words that have too few signs for the other
# places: they mark nothing, except by their `name`, as in `cn=2001`. All other words are `other`.
_OF_TIMES = "0123456789.:|"
_PLAIN = r"[^\ =@:%.-]*+"
_SORTED = re.compile(
    rf"""
      (?P<field> (?:\|\[R:[\w:,-]*\][\1]*+)?+ (?:(?P<name>[A-Za-z]\w*+)=)?+
        {_PLAIN} (?:(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{_PLAIN})?+
        (?:[.-]{_PLAIN})?+ :?+[\r\n\1\2]*+)(?=\ |$)
    | (?P<other>[^\ ]+)
    """,
    re.VERBOSE,
)
_MARKING = FIELDS.keys() | {"ipaddr", "ipaddress"}
# How many words are remembered.
_REMEMBERED = 1 << 16
# These characters have a meaning while a text is worked on. Where a text has them, they become
# characters that no decoded text can have.
_TO_OTHERS = {1: 0xD801, 2: 0xD802, 3: 0xD803}
_FROM_OTHERS = {other: sign for sign, other in _TO_OTHERS.items()}

# (start, end, what replaces it)
Place = tuple[int, int, str]


class Text:
    """Masks text, or collects its originals.

    The arguments are those of `Words`. `fresh` maps the words that the last call has looked at
    to their masks.
    """

    def __init__(
        self,
        masks: Replaces,
        known: Originals | None = None,
        *,
        own: Iterable[str] = (),
        blank: bool = False,
    ) -> None:
        own = tuple(own)
        self.words = Words(masks, known, own=own, blank=blank)
        self.fresh: dict[str, str] = {}
        self._field = lru_cache(_REMEMBERED)(self.words.field)
        self._anywhere = Finder(_DEVICES | (known.anywhere(own) if known is not None else set()))
        self._seen: set[str] = set()
        self._changed: dict[str, str] = {}
        self._phrases = known.phrases if known is not None else {}
        self._own_phrases = {word.lower() for word in own if not word.isalnum()}
        self._triggers = Finder(
            set(_BY_TRIGGER) | {phrase.lower() for phrase in self._phrases} | self._own_phrases
        )
        if known is None:
            for word in own:
                self.words.found.add(Kind.WORD, word)

    @property
    def found(self) -> Originals:
        """The originals that were collected."""
        return self.words.found

    def take_found(self) -> Originals:
        """Returns what was collected since the last call."""
        found, self.words.found = self.words.found, Originals()
        return found

    def collect(self, text: str) -> None:
        """Adds the originals in the text to `found`."""
        if _has_signs(text):
            text = text.translate(_TO_OTHERS)
        rest, _ = self._without_places(text)
        self._look_at(_words_of(rest))

    def mask(self, text: str) -> str:
        """Returns the text with masks. A line must be whole, and so must a hex dump."""
        if _has_signs(text):
            return self.mask(text.translate(_TO_OTHERS)).translate(_FROM_OTHERS)
        rest, places = self._without_places(text)
        words = _words_of(rest)
        self._look_at(words)
        masked = " ".join(map(self._changed.get, words, words))
        masked = masked.replace("\2 ", "").replace("\1", " ")
        if not places:
            return masked
        whole = [""] * (2 * len(places) + 1)
        whole[::2] = masked.split("\3")
        whole[1::2] = places
        return "".join(whole)

    def _look_at(self, words: Iterable[str]) -> None:
        """Works on the words that are new."""
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
            self._changed.clear()
        new = set(words) - self._seen
        self._seen |= new
        joined = " ".join(new)
        special = {
            joined[first:last]
            for first, last, _ in _between(" ", joined, self._anywhere.find(joined))
        }
        special.update(word for word in new if len(word) > 23 and _IDENTIFIER.search(word))
        self.fresh = {word: self.words.word(word) for word in special}
        # Times and counters are most of the new words.
        others = [
            word
            for word in new
            if word.strip(_OF_TIMES) or word.count(".") > 1 or word.count(":") > 2 or "::" in word
        ]
        for field, name, other in _SORTED.findall(" ".join(others)):
            word = field if name.lower() in _MARKING else other
            if word and word not in special:
                self.fresh[word] = self.words.word(word, only_marked=True)
        self._changed.update(pair for pair in self.fresh.items() if pair[0] != pair[1])

    def _without_places(self, text: str) -> tuple[str, list[str]]:
        """Replaces each place that a word alone does not show by the character 3.

        Returns the text, and what replaces the places.
        """
        places = [place for span in _IN_TEXT for place in self._places_of(span, text)]
        places += self._places_in_lines(text)
        for dump in dumps_in(text):
            places += written(dump, self.words.dumped(content_of(dump)))
        places.sort(key=lambda place: (place[0], -place[1]))
        parts, replacements = [], []
        position = 0
        for start, end, replacement in places:
            if start >= position:
                parts.append(text[position:start])
                replacements.append(replacement)
                position = end
        parts.append(text[position:])
        return "\3".join(parts), replacements

    def _places_in_lines(self, text: str) -> Iterator[Place]:
        line = 0
        done: set[str] = set()
        for first, last, (start, end, trigger) in _between("\n", text, self._triggers.find(text)):
            kind = Kind.WORD if trigger in self._own_phrases else self._phrases.get(text[start:end])
            if kind is not None:
                yield start, end, self._field(kind, text[start:end])
            if first != line:
                line, done = first, set()
            if trigger not in done:
                done.add(trigger)
                for span in _BY_TRIGGER.get(trigger, ()):
                    yield from self._places_of(span, text, first, last)

    def _places_of(
        self, span: Span, text: str, start: int = 0, end: int = sys.maxsize
    ) -> Iterator[Place]:
        last, has_field = span.pattern.groups, "field" in span.pattern.groupindex
        for match in span.pattern.finditer(text, start, end):
            kind = FIELDS.get(match["field"].lower()) if has_field else span.kind
            if kind is not None:
                yield (*match.span(last), self._field(kind, match[last]))
            elif not has_field:
                yield (*match.span(last), match[last])


_IN_TEXT = [span for span in SPANS if not span.trigger]
_BY_TRIGGER = {
    trigger: [span for span in SPANS if span.trigger == trigger]
    for trigger in {span.trigger for span in SPANS if span.trigger}
}


def _has_signs(text: str) -> bool:
    return "\1" in text or "\2" in text or "\3" in text


def _words_of(text: str) -> list[str]:
    """Cuts a text at blanks, at ends of lines and columns, and behind `;` and `^`.

    Where the text has no blank, the character 2 and a blank are inserted. Two blanks become two
    times the character 1, which stays with the word before. Then most words are repetitions.
    """
    text = text.replace("  ", "\1\1").replace("\1|", "\1\2 |").replace("\n", "\n\2 ")
    return text.replace(";", ";\2 ").replace("^", "^\2 ").split(" ")


def _between(sign: str, text: str, finds: Iterable[Find]) -> Iterator[tuple[int, int, Find]]:
    """Yields (start, end, find) for each find: where the text around it, between two signs, is."""
    first, last = 0, -1
    for find in finds:
        if find[0] >= last:
            first = text.rfind(sign, 0, find[0]) + 1
            last = text.find(sign, find[1])
            if last < 0:
                last = len(text)
        yield first, last, find
