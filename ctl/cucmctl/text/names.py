"""PURE. Names of nodes, cut to a width so that they still differ.

A mark stands where something is left out, and no two names become the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import takewhile

# Cutting names group by group compares each with each, which takes seconds for a thousand.
_FEW = 100


def mark(*, ascii_only: bool) -> str:
    return "~" if ascii_only else "…"


@lru_cache(maxsize=4)  # the live view asks for the same names four times a second
def distinct_names(names: tuple[str, ...], width: int, mark: str = "…") -> tuple[str, ...]:
    """The names cut to `width`, or to the least greater width at which all of them differ."""
    different = len(set(names))
    longest = max(map(len, names), default=0)
    for space in range(width, longest):
        cut = shortened(names, space, mark)
        if len(set(cut)) == different:
            return tuple(cut)
    return names


def shortened(names: Sequence[str], width: int, mark: str = "…") -> list[str]:
    """The names, those longer than `width` cut to it.

    They may differ at their beginning (`ccm-sub1.example.org`), at their end (addresses) or
    between. The cut is made where the fewest names become the same; if that is equal, at the end.
    Names that still become the same are then cut as a group of their own.
    """
    if all(len(name) <= width for name in names):
        return list(names)
    space = max(1, width - len(mark))
    best = max(_candidates(names, space, mark), key=_different)
    if len(names) <= _FEW:
        while _different(better := _by_groups(names, best, space, mark)) > _different(best):
            best = better
    return best


def _different(cut: Sequence[str]) -> int:
    return len(set(cut))


def _by_groups(names: Sequence[str], cut: Sequence[str], space: int, mark: str) -> list[str]:
    """The same cut, but names that became the same lose the beginning that these have in common.

    Only if the rest is part of no other name: `…1.example.org` could be a node of Berlin or
    Hamburg.
    """
    groups: dict[str, set[str]] = {}
    for name, short in zip(names, cut, strict=True):
        groups.setdefault(short, set()).add(name)
    shared = {short: _shared(tuple(group)) for short, group in groups.items() if len(group) > 1}
    different = set(names)

    def better(name: str, short: str) -> str:
        own = _without_ends(name, shared[short], space, mark)
        return own if sum(own.strip(mark) in one for one in different) == 1 else short

    return [
        better(name, short) if short in shared else short
        for name, short in zip(names, cut, strict=True)
    ]


def _candidates(names: Sequence[str], space: int, mark: str) -> Iterator[list[str]]:
    """All names cut in one way, for each way, the most readable first.

    `space` is without the mark.
    """
    for head in (space, space * 3 // 4, space // 2, space // 4, 0):
        yield [_without_middle(name, head, space, mark) for name in names]
    shared = _shared(names)
    yield [_without_ends(name, shared, space, mark) for name in names]


def _shared(names: Sequence[str]) -> int:
    """How many characters all names have in common at their beginning."""
    alike = (len(set(characters)) == 1 for characters in zip(*names, strict=False))
    return sum(takewhile(bool, alike))


def _without_middle(name: str, head: int, space: int, mark: str) -> str:
    if len(name) <= space + len(mark):
        return name
    return f"{name[:head]}{mark}{name[len(name) - (space - head) :]}"


def _without_ends(name: str, shared: int, space: int, mark: str) -> str:
    """The name without its first `shared` characters, and without its end if that is too long."""
    rest = (mark if shared else "") + name[shared:]
    return rest if len(rest) <= space + len(mark) else rest[:space] + mark
