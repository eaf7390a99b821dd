"""Finds where a text marks what is to be masked.

Most of a trace marks nothing. So all that is done with the text as a whole is done by functions
in C:

    1. Places that contain blanks, and lines with hex dumps, are replaced by the character U+0003.
    2. The rest is searched for what all words with a place have: a sign such as `cn=`, or a shape
       such as digits between dots. Times and counters have neither.
    3. The words around the finds are those that `Words` has to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from operator import itemgetter
from typing import Literal, NamedTuple, TypeVar

from cucmmask.dumps import lines_with_rows
from cucmmask.finder import Finder, as_bytes
from cucmmask.places import FIELDS, IN_TEXT, SHAPES, SIGNS, SPANS, Kind, Span

_SIGNS = Finder(SIGNS)
# `SHAPES` are searched for in a copy of the text in which a blank ends each word, each hexadecimal
# digit is an h, and each h is a g.
_SHAPES = Finder(SHAPES)
_SHAPE = bytes.maketrans(b"\n\r;^\4" + b"0123456789abcdefh", b" " * 5 + b"h" * 16 + b"g")
_IN_TEXT = [span for span in SPANS if span.trigger in ("", *IN_TEXT)]
_BY_TRIGGER = {
    trigger: [span for span in SPANS if span.trigger == trigger]
    for trigger in {span.trigger for span in SPANS} - {"", *IN_TEXT}
}
_TRIGGERS = Finder(_BY_TRIGGER)
# An element of XML that goes on in the next line.
_OPEN = re.compile(r"<(?:\w+:)?(\w+)(?: [^<>\n]*)?(?:>[^<>\n]*)?\n")

# (start, end, what is there). None stays as it is. LINES are whole lines, such as a hex dump, whose
# places cannot be told from one line alone.
LINES: Literal[0] = 0
Place = tuple[int, int, Kind | Literal[0] | None]
AnyPlace = TypeVar("AnyPlace", bound=tuple[int, int, object])


class Marks(NamedTuple):
    """What a text marks.

    places  in the order of the text; they do not overlap
    words   where words begin and end, in turn, in the text with U+0003 in place of each place
    """

    places: list[Place]
    words: list[int]


def places_in(text: str, phrases: Iterable[tuple[int, int, Kind]] = ()) -> Iterator[Place]:
    """Yields the places that a word alone does not show, other than LINES. They may overlap.

    phrases  known names, which are places too
    """
    for span in _IN_TEXT:
        if span.trigger in text:
            yield from _places_of(span, text, 0, len(text))
    line_end, done = -1, set[str]()
    for start, end, found in sorted([*_TRIGGERS.find(text), *phrases], key=itemgetter(1)):
        if isinstance(found, Kind):
            yield start, end, found
            continue
        if start > line_end:
            line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
            if line_end < 0:
                line_end = len(text)
            done.clear()
        if found not in done:
            done.add(found)
            for span in _BY_TRIGGER[found]:
                yield from _places_of(span, text, line_start, line_end)


def _places_of(span: Span, text: str, start: int, end: int) -> Iterator[Place]:
    last, has_field = span.pattern.groups, "field" in span.pattern.groupindex
    for match in span.pattern.finditer(text, start, end):
        kind = FIELDS.get(match["field"].lower()) if has_field else span.kind
        if kind is not None or not has_field:
            yield (*match.span(last), kind)


def lines_in(text: str) -> list[Place]:
    """Returns the LINES of a text."""
    if "</" in text and any(match[1].lower() in FIELDS for match in _OPEN.finditer(text)):
        return [(0, len(text), LINES)]
    found: list[Place] = []
    for start, end in lines_with_rows(text):
        is_next = found and found[-1][1] == start - 1
        found.append((found.pop()[0] if is_next else start, end, LINES))
    return found


def in_order(places: Iterable[AnyPlace]) -> list[AnyPlace]:
    """Sorts places, and leaves out those that begin within others."""
    kept: list[AnyPlace] = []
    position = 0
    for place in sorted(places, key=lambda place: (place[0], -place[1])):
        if place[0] >= position:
            kept.append(place)
            position = place[1]
    return kept


def without(text: str, places: Iterable[tuple[int, int, object]]) -> str:
    """Returns the text with U+0003 in place of each place."""
    return "\3".join(split(text, chain.from_iterable(place[:2] for place in places))[::2])


def split(text: str, cuts: Iterable[int]) -> list[str]:
    """Cuts a text: into parts between words, and words, in turn."""
    return [text[start:end] for start, end in pairwise(chain((0,), cuts, (len(text),)))]


def words_in(text: str, strings: Finder | None = None) -> list[int]:
    """Returns where the words with a sign or a shape begin and end, in turn.

    strings  finds the words with these strings instead
    """
    data = as_bytes(text)
    starts = (strings or _SIGNS).starts(data)
    if strings and not starts:  # as in most text, which is then read once only
        return []
    shape = data.translate(_SHAPE) + b" "
    if not strings:
        starts = sorted(starts + _SHAPES.starts(shape))
    words: list[int] = []
    last = 0
    for start in starts:
        if start >= last:  # not in the same word as the find before
            first = shape.rfind(b" ", last, start) + 1
            last = shape.find(b" ", start)
            words += first, last
    return words
