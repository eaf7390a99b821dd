"""The files of an export as pieces of its tar: header, content and padding of each.

A piece is at most a little more than `CHUNK`. Small files share a piece, and a change of threads,
which takes longer than to read one of them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio

from cucmd.cases import documents
from cucmd.cases.entries import Entry

# Bytes that are read at once.
CHUNK = 1024 * 1024
# Files that are read in one change of threads. On a disk that is slow to open them a stop of the
# daemon waits for all of them.
MOST_TOGETHER = 64
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC

Item: TypeAlias = tuple[Entry, Path]


class CannotExport(Exception):
    """A file of the job is gone, or not as it was recorded. The text names it."""


async def contents(items: Iterable[Item]) -> AsyncGenerator[bytes, None]:
    """Of these files, one after the other. Raises `CannotExport`, `OSError`."""
    for batch in batches(items):
        (entry, path) = batch[0]
        if entry.size <= CHUNK:
            yield await trio.to_thread.run_sync(_read_all, batch)
            continue
        descriptor = await trio.to_thread.run_sync(os.open, path, _FLAGS)
        try:
            ahead, left = entry.header(), entry.size
            while left:
                read = partial(_read, descriptor, entry, min(CHUNK, left))
                chunk = await trio.to_thread.run_sync(read)
                left -= len(chunk)
                behind = b"" if left else entry.padding()
                yield b"".join((ahead, chunk, behind)) if ahead or behind else chunk
                ahead = b""
        finally:
            os.close(descriptor)


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Those that are read together: they have `CHUNK` bytes at most, or are a single file."""
    batch: list[Item] = []
    size = 0
    for item in items:
        size += item[0].size
        if batch and (size > CHUNK or len(batch) == MOST_TOGETHER):
            yield batch
            batch, size = [], item[0].size
        batch.append(item)
    if batch:
        yield batch


# In a worker thread


def _read_all(batch: list[Item]) -> bytes:
    """Whole files, each with header and padding."""
    pieces: list[bytes] = []
    for entry, path in batch:
        pieces.append(entry.header())
        descriptor = os.open(path, _FLAGS)
        try:
            left = entry.size
            while left:
                pieces.append(_read(descriptor, entry, left))
                left -= len(pieces[-1])
        finally:
            os.close(descriptor)
        pieces.append(entry.padding())
    return b"".join(pieces)


def _read(descriptor: int, entry: Entry, size: int) -> bytes:
    """At most so many bytes, and at least one. Raises `CannotExport` at the end of the file."""
    chunk = os.read(descriptor, size)
    if not chunk:
        raise CannotExport(f"{documents.shown(entry.name)} was cut while it was read")
    return chunk
