"""Tables of text, and their colours.

The one rule: every cell is made `visible`; colours count for no width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cucmctl.printer import visible

COLOURS = {"succeeded": "32", "failed": "31", "partial": "33", "cancelled": "33", "running": "36"}


# Names are not cut to fewer characters; a narrower terminal wraps the lines.
LEAST_NAME = 8


def fitting(
    rows: Sequence[tuple[str, ...]],
    headings: Sequence[str],
    columns: int | None,
    *,
    ascii_only: bool,
) -> Sequence[tuple[str, ...]]:
    """The rows with their first cells, the names, cut so that each line fits into `columns`; None:
    as they are.

    Lines stay too long if names would become the same, or shorter than LEAST_NAME.
    """
    if columns is None:
        return rows
    from cucmctl.names import distinct_names, mark  # noqa: PLC0415  # only for a terminal

    cells = [headings, *([visible(cell) for cell in row] for row in rows)]
    others = sum(2 + max(map(len, column)) for column in list(zip(*cells, strict=True))[1:])
    space = max(LEAST_NAME, columns - others)
    whole = tuple(row[0] for row in cells[1:])
    names = distinct_names(whole, space, mark(ascii_only=ascii_only))
    return [(name, *row[1:]) for name, row in zip(names, rows, strict=True)]


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: str, colour: bool
) -> Iterator[str]:
    """Lines of a table. `right` names the columns that are aligned to the right."""
    cells = [headings, *([visible(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [str.rjust if heading in right.split() else str.ljust for heading in headings]
    for number, row in enumerate(cells):
        padded = [align(c, w) for align, c, w in zip(aligned, row, widths, strict=True)]
        if colour:
            padded = _painted(padded) if number else [f"\x1b[1m{cell}\x1b[m" for cell in padded]
        yield "  ".join(padded).rstrip()


def paint(text: str, status: str) -> str:
    code = COLOURS.get(status)
    return f"\x1b[{code}m{text}\x1b[m" if code else text


def _painted(cells: list[str]) -> list[str]:
    # only the second cell can be a status; the first is a name
    return [cells[0], paint(cells[1], cells[1].strip()), *cells[2:]]
