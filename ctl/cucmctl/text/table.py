"""PURE. Makes tables, wraps lines, adds colours, and shortens names so that they still differ.

Every cell is made `visible`. Colours do not count for widths. Where a name is shortened there is a
mark, and two different names never look the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import takewhile
from unicodedata import category, east_asian_width

from cucmctl.cli.printer import visible

COLOURS = {"succeeded": "32", "failed": "31", "partial": "33", "cancelled": "33", "running": "36"}

# Characters. Names are never cut to fewer; a narrower terminal wraps the lines.
LEAST_NAME = 8


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: str,
    colour: bool = False,
    columns: int | None = None,
    ascii_only: bool = False,
) -> Iterator[str]:
    """Yields the lines of a table.

    right       headings of the columns that are aligned to the right, separated by blanks
    columns     width of the table, to which the names in the first column are cut; None for any
                width. The address in a `Node.full_name` is left out before. Lines may stay longer
                so that names differ and have LEAST_NAME characters
    ascii_only  whether the mark in a shortened name must be ASCII
    """
    if columns is not None:
        rows = _fitting(list(rows), headings, columns, ascii_only=ascii_only)
    cells = [headings, *([visible(cell) for cell in row] for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        padded = []
        for heading, cell, width in zip(headings, row, widths, strict=True):
            blanks = " " * (width - width_of(cell))
            padded.append(blanks + cell if heading in right.split() else cell + blanks)
        if colour:
            # Only the second cell can be a status, because the first is a name.
            status = paint(padded[1], padded[1].strip())
            bold = [f"\x1b[1m{cell}\x1b[m" for cell in padded]
            padded = [padded[0], status, *padded[2:]] if number else bold
        yield "  ".join(padded).rstrip()


def _fitting(
    rows: Sequence[Sequence[str]], headings: Sequence[str], columns: int, *, ascii_only: bool
) -> list[Sequence[str]]:
    """Cuts the names in the first cells of the rows, so that each line fits `columns`."""
    cells = [headings, *([visible(cell) for cell in row] for row in rows)]
    others = sum(2 + max(map(width_of, column)) for column in list(zip(*cells, strict=True))[1:])
    space = max(LEAST_NAME, columns - others)
    whole = tuple(row[0] for row in cells[1:])
    if max(map(len, whole), default=0) > space:
        whole = tuple(name.partition(" (")[0] for name in whole)
    names = distinct_names(whole, space, cut_mark(ascii_only=ascii_only))
    return [(name, *row[1:]) for name, row in zip(names, rows, strict=True)]


def wrapped(text: str, columns: int | None) -> Iterator[str]:
    """Breaks a line between words. Following lines are indented by two more than the first."""
    indent = (len(text) - len(text.lstrip()) + 2) * " "
    while columns and len(text) > columns and (at := text.rfind(" ", len(indent), columns + 1)) > 0:
        yield text[:at]
        text = indent + text[at + 1 :]
    yield text


def paint(text: str, status: str) -> str:
    """Colours a text as the status that it stands for."""
    code = COLOURS.get(status)
    return f"\x1b[{code}m{text}\x1b[m" if code else text


def width_of(text: str) -> int:
    """Returns how many cells of a terminal a text takes: `顧客` takes four, an accent none."""
    if text.isascii():
        return len(text)
    wide = sum(east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(category(c) in ("Mn", "Me") for c in text)


def cut(text: str, width: int, mark: str) -> str:
    """Cuts the end of a text that takes more than `width` cells, and adds the mark."""
    if width_of(text) <= width:
        return text
    kept = text[: max(0, width)]  # a text of a hostile site may be much longer
    while kept and width_of(kept) > width - len(mark):
        kept = kept[:-1]
    return kept + mark


# Names


def cut_mark(*, ascii_only: bool) -> str:
    """Returns the mark that stands where a text was cut."""
    return "~" if ascii_only else "…"


@lru_cache(maxsize=4)  # the live view calls this with the same names four times a second
def distinct_names(names: tuple[str, ...], width: int, mark: str = "…") -> tuple[str, ...]:
    """Cuts names to `width`, or to the smallest greater width at which they still differ."""
    different = len(set(names))
    longest = max(map(len, names), default=0)
    for space in range(width, longest):
        cut = shortened(names, space, mark)
        if len(set(cut)) == different:
            return tuple(cut)
    return names


def shortened(names: Sequence[str], width: int, mark: str = "…") -> list[str]:
    """Cuts names that are longer than `width`.

    Names may differ at the beginning (`ccm-sub1.example.org`), at the end (addresses) or in the
    middle. Of several cuts, the one with the most different results is used, and of equal ones the
    most readable.
    """
    if all(len(name) <= width for name in names):
        return list(names)
    space = max(1, width - len(mark))

    def without_middle(name: str, head: int) -> str:
        if len(name) <= width:
            return name
        return f"{name[:head]}{mark}{name[len(name) - (space - head) :]}"

    heads = (space, space * 3 // 4, space // 2, space // 4, 0)  # the most readable first
    ways = [[without_middle(name, head) for name in names] for head in heads]
    # The last way removes what all names have in common at the beginning.
    alike = (len(set(characters)) == 1 for characters in zip(*names, strict=False))
    shared = sum(takewhile(bool, alike))
    rests = [(mark if shared else "") + name[shared:] for name in names]
    ways.append([rest if len(rest) <= space + len(mark) else rest[:space] + mark for rest in rests])
    return max(ways, key=lambda cut: len(set(cut)))
