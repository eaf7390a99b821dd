"""PURE. A .tgz as a stream of bytes: what `file get ... compress` sends.

Only one block is in memory, whatever the size of the archive, and what is cut off.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeAlias

from cucmd.lab import tree

_BLOCK = 32 * 1024


Content: TypeAlias = Callable[[tree.VirtualFile], Iterator[bytes]]


def tgz(
    root: str, files: Iterable[tree.VirtualFile], now: datetime, content: Content
) -> Iterator[bytes]:
    """The archive in blocks of exactly 32 KiB, the last one shorter. `content`: of one file."""
    held = bytearray()
    for piece in _compressed(_tar(root, files, now, content)):
        held += piece
        while len(held) >= _BLOCK:
            yield bytes(held[:_BLOCK])
            del held[:_BLOCK]
    if held:
        yield bytes(held)


def without_last(blocks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """All but the last `count` bytes, which are held in memory."""
    held = bytearray()
    for block in blocks:
        held += block
        if len(held) > count:
            yield bytes(held[: len(held) - count])
            del held[: len(held) - count]


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    # Level 1: an appliance has seconds for this, and so have tests.
    gzip = zlib.compressobj(level=1, wbits=31)
    for piece in pieces:
        yield gzip.compress(piece)
    yield gzip.flush()


def _tar(
    root: str, files: Iterable[tree.VirtualFile], now: datetime, content: Content
) -> Iterator[bytes]:
    for file in files:
        info = tarfile.TarInfo(f"{root}/{file.path}")
        info.size = file.size
        info.mtime = int(file.modified(now).timestamp())
        info.uname = info.gname = "ccmbase"
        yield info.tobuf()
        yield from content(file)
        yield bytes(-file.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
