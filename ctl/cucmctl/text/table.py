"""Tables of text, and their colours.

Every cell is made `visible`; colours count for no width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cucmctl.cli.printer import visible

COLOURS = {"succeeded": "32", "failed": "31", "partial": "33", "cancelled": "33", "running": "36"}

# Names are not cut to fewer characters; a narrower terminal wraps the lines.
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
    """Lines of a table.

    right       names the columns that are aligned to the right
    columns     the width into which the first cells, the names, are cut; None: they are not. Lines
                stay too long if names would become the same, or shorter than LEAST_NAME
    ascii_only  for the mark where a name is cut
    """
    if columns is not None:
        rows = _fitting(list(rows), headings, columns, ascii_only=ascii_only)
    cells = [headings, *([visible(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [str.rjust if heading in right.split() else str.ljust for heading in headings]
    for number, row in enumerate(cells):
        padded = [align(c, w) for align, c, w in zip(aligned, row, widths, strict=True)]
        if colour:
            padded = _painted(padded) if number else [f"\x1b[1m{cell}\x1b[m" for cell in padded]
        yield "  ".join(padded).rstrip()


def _fitting(
    rows: Sequence[Sequence[str]], headings: Sequence[str], columns: int, *, ascii_only: bool
) -> list[Sequence[str]]:
    """The rows with their first cells, the names, cut so that each line fits into `columns`."""
    from cucmctl.text.names import distinct_names, mark  # noqa: PLC0415  # only for a terminal

    cells = [headings, *([visible(cell) for cell in row] for row in rows)]
    others = sum(2 + max(map(len, column)) for column in list(zip(*cells, strict=True))[1:])
    space = max(LEAST_NAME, columns - others)
    whole = tuple(row[0] for row in cells[1:])
    names = distinct_names(whole, space, mark(ascii_only=ascii_only))
    return [(name, *row[1:]) for name, row in zip(names, rows, strict=True)]


def paint(text: str, status: str) -> str:
    code = COLOURS.get(status)
    return f"\x1b[{code}m{text}\x1b[m" if code else text


def _painted(cells: list[str]) -> list[str]:
    # only the second cell can be a status; the first is a name
    return [cells[0], paint(cells[1], cells[1].strip()), *cells[2:]]
