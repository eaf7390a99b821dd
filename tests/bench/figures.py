"""PURE. Makes tables of figures and their ratios, and finds figures that have become worse.

A figure has one value of each version per round; the versions are measured in turns. The best
value of a version is the one that other work of the machine disturbed least.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

# unit -> the factor for a value (in seconds, in bytes or without a unit), and the digits to print
UNITS = {
    "s": (1.0, 2),
    "ms": (1e3, 2),
    "kB": (1e-3, 0),
    "MB": (1e-6, 1),
    "MB/s": (1e-6, 0),
    "/s": (1.0, 0),
    "of them": (1.0, 0),
}
TIMES = (1.0, 2)  # a figure without a unit

ALLOWED = 1.3  # times the processor time of the commit; a smaller factor may be chance


class Figure(NamedTuple):
    """Names a figure.

    label: what was measured. unit: one of UNITS, or none. aim: the wanted value, for the reader.
    decides: whether a version may fail because of it. This is so for processor time, which hardly
    depends on other work of the machine.
    """

    label: str
    unit: str = ""
    decides: bool = False
    aim: str = ""

    def show(self, value: float, *, unit: bool = True) -> str:
        factor, digits = UNITS.get(self.unit, TIMES)
        return f"{value * factor:.{digits}f}{f' {self.unit}' * (unit and bool(self.unit))}"


Sample = Mapping[Figure, float]  # the values of one version in one round
Measures = list[Callable[[], Sample]]  # measures each version once
Values = dict[Figure, list[float]]  # the same of all rounds


class Compared(NamedTuple):
    """Holds the values of two versions, for the figures that both have."""

    base: Values
    present: Values

    def ratio(self, figure: Figure) -> float:
        """Divides the present's median by the base's."""
        return _ratio(statistics.median(self.present[figure]), statistics.median(self.base[figure]))

    def best_ratio(self, figure: Figure) -> float:
        """Returns the ratio of the least of the present to the least of the base."""
        return _ratio(min(self.present[figure]), min(self.base[figure]))

    def slower(self) -> list[Figure]:
        """Returns the figures that decide, and for which the present takes more than ALLOWED."""
        return [one for one in self.base if one.decides and self.best_ratio(one) > ALLOWED]


def _ratio(present: float, base: float) -> float:
    if base == 0:
        return 1.0 if present == 0 else float("inf")
    return present / base


def measure_in_turns(
    measures: Sequence[Callable[[], Sample]], rounds: int, *, last_first: bool = False
) -> list[Values]:
    """Calls each function in turn, for so many rounds; returns the values of each.

    A shared machine is faster for some seconds after it was idle, so the first in a round has an
    advantage. The order is therefore reversed in each second round, or, with `last_first`, in the
    first round and each second one after it.
    """
    found: list[Values] = [{} for _ in measures]
    for number in range(rounds):
        turns = list(zip(found, measures, strict=True))
        for values, measure in turns[::-1] if number % 2 != last_first else turns:
            for figure, value in measure().items():
                values.setdefault(figure, []).append(value)
    return found


def find_slower(first: Compared, again: Callable[[], Sequence[Values]]) -> list[Figure]:
    """Returns the figures for which the present is slower in three measurements.

    again: measures both versions, as `measure_in_turns` does with `last_first`, so that neither
    version always has the advantage. It is called only while a figure is slower in all measurements
    so far: on a shared machine one measurement in twenty may be wrong.
    """
    suspects = first.slower()
    for _ in range(2):
        if suspects:
            slower = Compared(*again()).slower()
            suspects = [figure for figure in suspects if figure in slower]
    return suspects


def rows_of_one(values: Values) -> Iterator[tuple[str, str, str]]:
    """Yields for each figure its label, its median with the least and the most, and its aim."""
    for figure, found in values.items():
        yield (
            figure.label,
            f"{figure.show(statistics.median(found))}{_spread(figure, found)}",
            (figure.aim),
        )


def rows_of_two(compared: Compared) -> Iterator[tuple[str, str, str, str, str]]:
    """Yields for each figure its label, the values of both, and the ratios of medians and bests."""
    for figure, base in compared.base.items():
        present = compared.present[figure]
        yield (
            figure.label,
            f"{figure.show(statistics.median(base))}{_spread(figure, base)}",
            f"{figure.show(statistics.median(present))}{_spread(figure, present)}",
            f"{compared.ratio(figure):.2f}",
            f"{compared.best_ratio(figure):.2f}" if figure.decides else "",
        )


def _spread(figure: Figure, values: Sequence[float]) -> str:
    if len(values) == 1:
        return ""
    least, most = (figure.show(value, unit=False) for value in (min(values), max(values)))
    return f" ({least}..{most})"


def align_columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Aligns the rows in columns: the first one at its left end, the others at their right end."""
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        columns = [first.ljust(widths[0])]
        columns += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join(columns).rstrip()
