"""PURE. Makes tables of figures and their ratios, and says when another version has become slower.

A figure has one or more values of each version, one a round, which were measured in turns. The
best value of a side is the one that the machine's other work disturbed least.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

# unit -> what a value in seconds, bytes or as it is is multiplied with, and how many digits it has
UNITS = {
    "s": (1.0, 2),
    "ms": (1e3, 2),
    "MB": (1e-6, 1),
    "MB/s": (1e-6, 0),
    "/s": (1.0, 0),
    "of them": (1.0, 0),
}
TIMES = (1.0, 2)  # a figure without a unit

ALLOWED = 1.3  # times the processor time of the baseline: less is within the noise of a machine


class Figure(NamedTuple):
    """label: what was measured. unit: one of UNITS, or none.

    decides: whether a version may be refused for it: processor time, which holds on a busy machine.
    aim: what it should be, for the reader.
    """

    label: str
    unit: str = ""
    decides: bool = False
    aim: str = ""

    def show(self, value: float, *, unit: bool = True) -> str:
        factor, digits = UNITS.get(self.unit, TIMES)
        return f"{value * factor:.{digits}f}{f' {self.unit}' * (unit and bool(self.unit))}"


Sample = Mapping[Figure, float]  # what one round has measured of one version
Values = dict[Figure, list[float]]  # the same of all rounds


class Compared(NamedTuple):
    """The values of two versions, of those figures that both have."""

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


def in_turns(measures: Sequence[Callable[[], Sample]], rounds: int) -> list[Values]:
    """Calls one after the other, so often; the values of each."""
    found: list[Values] = [{} for _ in measures]
    for _ in range(rounds):
        for values, measure in zip(found, measures, strict=True):
            for figure, value in measure().items():
                values.setdefault(figure, []).append(value)
    return found


def refused(first: Compared, again: Callable[[], Sequence[Values]]) -> list[Figure]:
    """Returns the figures for which the present is slower, and is so when measured once more.

    again: gives the values of both as `in_turns` does; called only where it has to decide.
    """
    suspects = first.slower()
    if not suspects:
        return []
    second = Compared(*again()).slower()
    return [one for one in suspects if one in second]


def rows_of_one(values: Values) -> Iterator[tuple[str, str, str]]:
    """What, how much, and how it should be: medians, and in brackets the least and the most."""
    for figure, found in values.items():
        yield (
            figure.label,
            f"{figure.show(statistics.median(found))}{_spread(figure, found)}",
            (figure.aim),
        )


def rows_of_two(compared: Compared) -> Iterator[tuple[str, str, str, str, str]]:
    """What, how much of each (as above), the ratio of the medians, and that of the best values."""
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


def aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines in columns: the first begins at the left, the others end at the right."""
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        columns = [first.ljust(widths[0])]
        columns += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join(columns).rstrip()
