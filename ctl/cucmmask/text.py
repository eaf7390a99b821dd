"""Reads text of traces: collects the originals, and replaces them by their masks.

Most of a trace marks nothing, and most of the rest is repetition. So all that is done with the text
as a whole is done by functions in C, and only words that were not seen before are looked at:

    1. Places that contain blanks, and rows of hex dumps, are replaced by the character U+0003.
    2. The rest is searched for known originals and for what all words with a place have: a sign
       such as `cn=`, or a shape such as digits between dots. Times and counters have neither.
    3. The word around each find is given to `Words`, which remembers what to write in its place.
    4. Words with a mask are replaced, and so is each U+0003.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cucmmask.dumps import content_of, dumps_in, written
from cucmmask.finder import Find, Finder, as_bytes
from cucmmask.masks import Replaces
from cucmmask.originals import Originals
from cucmmask.places import FIELDS, SHAPES, SIGNS, SPANS, Kind, Span
from cucmmask.words import Words

# `SHAPES` are searched for in a copy of the text in which a blank ends each word, each hexadecimal
# digit is an h, and each h is a g.
_SHAPES = Finder(SHAPES)
_SHAPE = bytes.maketrans(b"\n\r;^0123456789abcdefh", b" " * 4 + b"h" * 16 + b"g")
# How many words are remembered.
_REMEMBERED = 1 << 16
# U+0003 has a meaning while a text is worked on. Where a text has this character, it becomes one
# that no decoded text can have.
_TO_OTHER = {3: 0xD803}
_FROM_OTHER = {0xD803: 3}

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
        self._signs = Finder(SIGNS | (known.anywhere(own) if known is not None else set()))
        self._masked: dict[str, str] = {}  # word -> its mask
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
        self.mask(text)

    def mask(self, text: str) -> str:
        """Returns the text with masks. A line must be whole, and so must a hex dump."""
        if "\3" in text:
            return self.mask(text.translate(_TO_OTHER)).translate(_FROM_OTHER)
        rest, places = self._without_places(text)
        masked = self._with_words_masked(rest)
        if not places:
            return masked
        whole = [""] * (2 * len(places) + 1)
        whole[::2] = masked.split("\3")
        whole[1::2] = places
        return "".join(whole)

    def _with_words_masked(self, text: str) -> str:
        if len(self._masked) > _REMEMBERED:
            self._masked.clear()
        self.fresh = {}
        masked_of = self._masked.get
        data = as_bytes(text)
        shape = data.translate(_SHAPE) + b" "
        parts: list[str] = []
        last = 0
        for start in sorted(self._signs.starts(data) + _SHAPES.starts(shape)):
            if start < last:  # in the same word as the find before
                continue
            first = shape.rfind(b" ", last, start) + 1
            between = text[last:first]
            last = shape.find(b" ", start)
            word = text[first:last]
            masked = masked_of(word)
            if masked is None:
                masked = self._masked[word] = self.fresh[word] = self.words.word(word)
            parts += between, masked
        parts.append(text[last:])
        return "".join(parts)

    def _without_places(self, text: str) -> tuple[str, list[str]]:
        """Replaces each place that a word alone does not show by the character 3.

        Returns the text, and what replaces the places.
        """
        spans = (span for span in _IN_TEXT if span.trigger in text)
        places = [place for span in spans for place in self._places_of(span, text)]
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


_IN_TEXT = [span for span in SPANS if span.trigger in ("", "</")]
_BY_TRIGGER = {
    trigger: [span for span in SPANS if span.trigger == trigger]
    for trigger in {span.trigger for span in SPANS} - {"", "</"}
}


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
