"""The transcript of a node, as it is on disk and while it grows.

It is read in pieces of whole lines, so that no character is cut in two.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import trio

_PIECE = 128 * 1024
# Seconds between two looks at a transcript that grows: nobody reads faster.
_EVERY = 0.25


async def read_transcript(path: Path, grows: Callable[[], bool]) -> AsyncGenerator[str, None]:
    """Its text, piece by piece, until its end; and on as long as `grows()`.

    Nothing for a file that does not exist. Raises `OSError`.
    """
    offset, rest = 0, b""
    while True:
        growing = grows()  # asked before the look: what came before its end is then in it
        piece = await trio.to_thread.run_sync(_read, path, offset)
        offset += len(piece)
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        if len(rest) > _PIECE:  # a line without end
            lines, newline, rest = lines + newline + rest, b"", b""
        if text := (lines + newline).decode(errors="replace"):
            yield text
        if piece:
            continue
        if not growing:
            break
        await trio.sleep(_EVERY)
    if rest:
        yield rest.decode(errors="replace")


def _read(path: Path, offset: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, _PIECE, offset)
    finally:
        os.close(descriptor)
