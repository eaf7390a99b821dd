"""Reads text of traces: collects the originals, and replaces them by their masks.

`marks.py` finds the places and the words to look at. Most of them are repetition, so `Text`
remembers what to write in place of a word, and only looks at words that were not there before.
The words in which nothing is marked are searched for known originals.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import itemgetter

from cucmmask.dumps import content_of, dumps_in, written
from cucmmask.finder import Finder
from cucmmask.marks import (
    LINES,
    Marks,
    Place,
    in_order,
    lines_in,
    places_in,
    split,
    without,
    words_in,
)
from cucmmask.masks import Replaces
from cucmmask.originals import Originals
from cucmmask.places import Kind
from cucmmask.words import Words

# How many words are remembered.
_REMEMBERED = 1 << 16
# These characters have a meaning while a text is worked on: U+0003 is in place of a place, U+0004
# and a line with U+0005 are between parts that are worked on together. Where a text has one of
# them, it becomes a character that no decoded text can have.
_TO_OTHER = {3: 0xD803, 4: 0xD804, 5: 0xD805}
_FROM_OTHER = {other: sign for sign, other in _TO_OTHER.items()}
_BETWEEN_LINES = "\n\5\n"


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
        self._masked = _Remembered(self)
        self._phrases = known.phrases if known is not None else {}
        self._own_phrases = {word.lower() for word in own if not word.isalnum()}
        self._all_phrases = Finder({*map(str.lower, self._phrases), *self._own_phrases})
        self._has_long_phrase = any("\n" in phrase for phrase in (*self._phrases, *own))
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

    def collect(self, text: str) -> Marks:
        """Adds the originals in the text to `found`. Returns the marks of the text."""
        text = self._begun(text)
        places = [*places_in(text, self._phrases_in(text)), *lines_in(text)]
        self._masked_places(text, places)
        places = in_order(places)
        rest = without(text, places)
        words = words_in(rest)
        for word in split(rest, words)[1::2]:
            self._masked[word]
        return Marks(places, words)

    def mask(self, text: str, marks: Marks | None = None) -> str:
        """Returns the text with masks. A line must be whole, and so must a hex dump.

        marks  the marks of the text, if they are known already
        """
        begun = self._begun(text)
        if marks is None or self._has_long_phrase:
            masked = self._mask_lines(begun)
        else:
            places = self._masked_places(begun, marks.places)
            masked = self._filled(without(begun, marks.places), marks.words, places)
            if more := dict(self._lines_with_more(begun, marks)):
                lines = masked.split("\n")
                again = self._mask_lines("\n".join(more.values())).split("\n")
                for number, line in zip(more, again, strict=True):
                    lines[number] = line
                masked = "\n".join(lines)
        return masked if begun is text else masked.translate(_FROM_OTHER)

    def _begun(self, text: str) -> str:
        if len(self._masked) > _REMEMBERED:
            self._masked.clear()
        self.fresh = {}
        return text.translate(_TO_OTHER) if any(sign in text for sign in "\3\4\5") else text

    def _masked_places(self, text: str, places: list[Place]) -> list[str]:
        """Returns what to write in place of each place."""
        lines = [text[start:end] for start, end, what in places if what == LINES]
        joined = self._mask_lines(_BETWEEN_LINES.join(lines)) if lines else ""
        masked = iter(joined.split(_BETWEEN_LINES))
        return [
            self._field(what, text[start:end])
            if isinstance(what, Kind)
            else next(masked)
            if what == LINES
            else text[start:end]
            for start, end, what in places
        ]

    def _mask_lines(self, text: str) -> str:
        """Masks lines about which nothing is known yet."""
        found = list(places_in(text, self._phrases_in(text)))
        new = self._masked_places(text, found)
        places = [(start, end, mask) for (start, end, _), mask in zip(found, new, strict=True)]
        for dump in dumps_in(text):
            places += written(dump, self.words.dumped(content_of(dump)))
        places = in_order(places)
        rest = without(text, places)
        return self._filled(rest, words_in(rest), [place for _, _, place in places])

    def _filled(self, text: str, words: Iterable[int], places: list[str]) -> str:
        """Masks words, and known originals between them; fills in what replaces the places."""
        parts = split(text, words)
        parts[1::2] = map(self._masked.__getitem__, parts[1::2])
        between = "\4".join(parts[::2])
        if known := words_in(between, self.words.anywhere):
            others = split(between, known)
            others[1::2] = map(self._masked.__getitem__, others[1::2])
            parts[::2] = "".join(others).split("\4")
        masked = "".join(parts)
        if not places:
            return masked
        whole = [""] * (2 * len(places) + 1)
        whole[::2] = masked.split("\3")
        whole[1::2] = places
        return "".join(whole)

    def _phrases_in(self, text: str) -> Iterator[tuple[int, int, Kind]]:
        for start, end, phrase in self._all_phrases.find(text):
            kind = Kind.WORD if phrase in self._own_phrases else self._phrases.get(text[start:end])
            if kind is not None:
                yield start, end, kind

    def _lines_with_more(self, text: str, marks: Marks) -> Iterator[tuple[int, str]]:
        """Yields (number, line) for each line with a known phrase that no place of `marks` is."""
        number = last = 0
        for start, end, kind in self._phrases_in(text):
            at = bisect_right(marks.places, start, key=itemgetter(0)) - 1
            place = marks.places[at] if at >= 0 else (0, 0, None)
            if end <= place[1] and (place[:2] != (start, end) or place[2] in (kind, LINES)):
                continue
            number += text.count("\n", last, start)
            last = max(last, start)
            line_end = text.find("\n", end)
            yield number, text[text.rfind("\n", 0, start) + 1 : line_end if line_end >= 0 else None]


class _Remembered(dict[str, str]):
    """Maps words to their masks. Masks a word that is not there yet."""

    def __init__(self, text: Text) -> None:
        super().__init__()
        self._text = text

    def __missing__(self, word: str) -> str:
        self[word] = self._text.fresh[word] = masked = self._text.words.word(word)
        return masked
