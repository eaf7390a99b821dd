"""Keeps in a file what the first pass has found out about texts, for the second pass."""

from __future__ import annotations

from typing import IO
from zlib import crc32

import msgspec

from cucmmask.marks import Marks

_DECODER = msgspec.msgpack.Decoder(tuple[int, Marks])


def write_marks(file: IO[bytes], text: str, marks: Marks) -> None:
    """Adds the marks of a text to the file."""
    data = msgspec.msgpack.encode((_checksum(text), marks))
    file.write(len(data).to_bytes(4) + data)


def read_marks(file: IO[bytes], text: str) -> Marks | None:
    """Reads the marks that were added next. Returns None if they are of another text: a file that
    has changed since is masked without them.
    """
    try:
        checksum, marks = _DECODER.decode(file.read(int.from_bytes(file.read(4))))
    except msgspec.DecodeError:  # the file is at its end
        return None
    return marks if checksum == _checksum(text) else None


def _checksum(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogateescape"))
