"""What a dry run has found on a node. Shared by the daemon and `cucmctl`.

The one rule: that of `structs.py`, of which this is a part.
"""

from __future__ import annotations

from msgspec import Struct


class PathSize(Struct, frozen=True):
    path: str
    files: int
    bytes: int


class Sizes(Struct, frozen=True):
    paths: tuple[PathSize, ...]
    room: int | None = None
    fits: bool | None = None
    why: str | None = None
    seconds: float | None = None
