"""PURE. Names of nodes where there is little room: cut so that they can still be told apart.

The one rule: where something is left out there is a mark, and no two names look the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import takewhile

# To cut names group by group is to compare each with each, which for a thousand takes seconds.
_FEW = 100


def mark(*, ascii_only: bool) -> str:
    return "~" if ascii_only else "…"


@lru_cache(maxsize=4)  # the live view asks for the same names four times a second
def told_apart(names: tuple[str, ...], width: int, mark: str = "…") -> tuple[str, ...]:
    """The names cut to `width`, or to as little more as lets none of them look like another."""
    different = len(set(names))
    longest = max(map(len, names), default=0)
    for room in range(width, longest):
        cut = shortened(names, room, mark)
        if len(set(cut)) == different:
            return tuple(cut)
    return names


def shortened(names: Sequence[str], width: int, mark: str = "…") -> list[str]:
    """The names, those that are longer than `width` cut to it.

    What tells them apart may be in front (`ccm-sub1.example.org`), at the end (addresses) or in
    between, so the cut goes where the fewest become the same; if that is anywhere, at the end.
    Names that are the same all the same are then cut in a way of their own: one address among
    long names is enough to leave nothing that all have in common.
    """
    if all(len(name) <= width for name in names):
        return list(names)
    room = max(1, width - len(mark))
    best = max(_ways(names, room, mark), key=_different)
    if len(names) <= _FEW:
        while _different(better := _by_groups(names, best, room, mark)) > _different(best):
            best = better
    return best


def _different(cut: Sequence[str]) -> int:
    return len(set(cut))


def _by_groups(names: Sequence[str], cut: Sequence[str], room: int, mark: str) -> list[str]:
    """The same cut, but where it made names the same, without what just these have in front.

    Only where what is left is in no other name: of `…1.example.org` nobody could say whether it is
    the first node of Berlin or of Hamburg.
    """
    groups: dict[str, set[str]] = {}
    for name, short in zip(names, cut, strict=True):
        groups.setdefault(short, set()).add(name)
    shared = {short: _shared(tuple(group)) for short, group in groups.items() if len(group) > 1}
    different = set(names)

    def better(name: str, short: str) -> str:
        own = _without_ends(name, shared[short], room, mark)
        return own if sum(own.strip(mark) in one for one in different) == 1 else short

    return [
        better(name, short) if short in shared else short
        for name, short in zip(names, cut, strict=True)
    ]


def _ways(names: Sequence[str], room: int, mark: str) -> Iterator[list[str]]:
    """Ways to cut, the most readable first; `room` is what is left beside a mark."""
    for head in (room, room * 3 // 4, room // 2, room // 4, 0):
        yield [_without_middle(name, head, room, mark) for name in names]
    shared = _shared(names)
    yield [_without_ends(name, shared, room, mark) for name in names]


def _shared(names: Sequence[str]) -> int:
    """How many characters all names have in common at their beginning."""
    alike = (len(set(characters)) == 1 for characters in zip(*names, strict=False))
    return sum(takewhile(bool, alike))


def _without_middle(name: str, head: int, room: int, mark: str) -> str:
    if len(name) <= room + len(mark):
        return name
    return f"{name[:head]}{mark}{name[len(name) - (room - head) :]}"


def _without_ends(name: str, shared: int, room: int, mark: str) -> str:
    """Without what all have in front, and if need be without the end."""
    rest = (mark if shared else "") + name[shared:]
    return rest if len(rest) <= room + len(mark) else rest[:room] + mark
