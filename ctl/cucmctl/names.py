"""PURE. Names of nodes where there is little room: cut so that they can still be told apart.

The one rule: where something is left out there is a mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile


def mark(*, ascii_only: bool) -> str:
    return "~" if ascii_only else "…"


def shortened(names: Sequence[str], width: int, mark: str = "…") -> list[str]:
    """The names, those that are longer than `width` cut to it.

    What tells them apart may be in front (`ccm-sub1.example.org`), at the end (addresses) or in
    between, so the cut goes where the fewest become the same; if that is anywhere, at the end.
    """
    if all(len(name) <= width for name in names):
        return list(names)
    return max(_ways(names, max(1, width - len(mark)), mark), key=lambda cut: len(set(cut)))


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
    rest = mark + name[shared:]
    return rest if len(rest) <= room + len(mark) else rest[:room] + mark
