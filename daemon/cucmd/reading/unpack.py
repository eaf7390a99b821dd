"""PURE. Reads gzip and tar, in pieces: as much of them as is whole, and no more than asked for.

Nothing here but `gunzip` raises for what the bytes are, and no piece is larger than `PIECE`,
however much a gzip unpacks to. What is damaged or cut off ends there.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

PIECE = 64 * 1024
_FEW = 4 * 1024
GZIP = b"\x1f\x8b"
_BLOCK = tarfile.BLOCKSIZE
# A longer name is not looked at: no path of a node is so long.
_MOST_NAME = 4096


class NotWhole(Exception):
    """The file is cut off or damaged. The text says where, and follows its name."""


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content of a gzip, or the bytes themselves where they are none.

    A piece may be empty: what reads it can stop at any of them.
    """
    chunks = iter(chunks)
    beginning = next(chunks, b"")
    chunks = chain((beginning,), chunks)
    return _as_far_as_whole(chunks) if beginning.startswith(GZIP) else chunks


def _as_far_as_whole(packed: Iterable[bytes]) -> Iterator[bytes]:
    # A few at a time: zlib gives nothing of the bytes that came with those that are damaged.
    few = (chunk[at : at + _FEW] for chunk in packed for at in range(0, len(chunk), _FEW))
    with suppress(NotWhole):
        yield from gunzip(few)


def gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content, in pieces that may be empty. Raises `NotWhole`."""
    member: zlib._Decompress | None = None
    ahead = b""  # the first byte of a member, perhaps
    for chunk in chunks:
        left = ahead + chunk
        ahead = b""
        while True:
            if member is None:
                left = left.lstrip(b"\0")
                if not left or left == GZIP[:1]:
                    ahead = left
                    yield b""
                    break
                if not left.startswith(GZIP):
                    return  # behind a whole member
                member = zlib.decompressobj(wbits=31)
            try:
                piece = member.decompress(left, PIECE)
            except zlib.error as error:
                raise NotWhole(f"is damaged: {error}") from None
            yield piece
            if member.eof:
                left, member = member.unused_data, None
            else:
                left = member.unconsumed_tail
                if not left and len(piece) < PIECE:
                    break
    if member is not None or ahead:
        raise NotWhole("ends before the end of its gzip")


class TarMembers:
    """Reads the members of a tar, in their order. `whole`: its end was reached."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._source = Source(chunks)
        self.whole = False

    def __iter__(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yields (name, content) of each file. What was not read of one is skipped."""
        name = ""
        while (info := self._header()) is not None:
            content = self._source.content(info.size)
            match info.type:
                case tarfile.REGTYPE | tarfile.AREGTYPE:
                    yield name or info.name, content
                    name = ""
                case tarfile.GNUTYPE_LONGNAME if info.size <= _MOST_NAME:
                    name = _text(b"".join(content))
                case tarfile.XHDTYPE if info.size <= _MOST_NAME:
                    name = _pax_path(b"".join(content))
                case _:
                    name = ""
            for _ in content:
                pass
            self._source.take(-info.size % _BLOCK)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._source.take(_BLOCK)
        self.whole = block == bytes(_BLOCK)
        return header(block)


def is_tar(beginning: bytes) -> bool:
    return header(beginning[:_BLOCK]) is not None


class Source:
    """Takes any number of bytes from chunks. `taken`: how many so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0
        self.taken = 0

    def some(self, most: int) -> bytes:
        """Returns at least one byte, and at most `most`; empty at the end."""
        while self._at == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._chunk, self._at = chunk, 0
        piece = self._chunk[self._at : self._at + most]
        self._at += len(piece)
        self.taken += len(piece)
        return piece

    def take(self, size: int) -> bytes:
        """Takes `size` bytes, or what is left."""
        taken = bytearray()
        while len(taken) < size and (piece := self.some(size - len(taken))):
            taken += piece
        return bytes(taken)

    def content(self, size: int) -> Iterator[bytes]:
        """Yields the same, in pieces. One that was left can be gone on with."""
        while size and (piece := self.some(min(size, PIECE))):
            size -= len(piece)
            yield piece


def header(block: bytes) -> tarfile.TarInfo | None:
    """Reads a header; None for what is none, as at the end of a tar."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError:
        return None
    return info if info.size >= 0 else None


def _pax_path(records: bytes) -> str:
    for record in records.split(b"\n"):
        if (at := record.find(b" path=")) >= 0:
            return _text(record[at + len(b" path=") :])
    return ""


def _text(name: bytes) -> str:
    return name.split(b"\0")[0].decode("utf-8", "replace")
