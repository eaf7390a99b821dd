"""PURE. Reads gzip and tar in pieces of at most `PIECE` bytes, up to damage or a cut.

Only `gunzip` and `unpack` raise an exception for damage.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

PIECE = 64 * 1024
_SMALL = 4 * 1024
GZIP = b"\x1f\x8b"
_BLOCK = tarfile.BLOCKSIZE
# Longer names are ignored. No path of a node is so long.
_MOST_NAME = 4096


class NotWhole(Exception):
    """Raised if a file is cut off or damaged.

    `str()` is the end of a message that begins with the name of the file, such as
    "is damaged: ...".
    """


class CutOff(NotWhole):
    """Raised if a file ends before its end, and everything before is good."""


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields what `unpack` yields, up to the damage if there is any."""
    with suppress(NotWhole):
        yield from unpack(chunks)


def unpack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content of a gzip in pieces, which may be empty, or the bytes if it is no gzip.

    Raises `NotWhole` after everything before the damage was yielded.
    """
    chunks = iter(chunks)
    beginning = next(chunks, b"")
    chunks = chain((beginning,), chunks)
    if not beginning.startswith(GZIP):
        yield from chunks
        return
    # Small pieces, because zlib drops all good bytes of a piece that has damaged ones too.
    yield from gunzip(
        chunk[at : at + _SMALL] for chunk in chunks for at in range(0, len(chunk), _SMALL)
    )


def gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content in pieces, which may be empty. Raises `NotWhole`."""
    member: zlib._Decompress | None = None
    half_magic = b""  # the first byte of the next member, if the chunk ended after this byte
    for chunk in chunks:
        unread = half_magic + chunk
        half_magic = b""
        while True:
            if member is None:
                unread = unread.lstrip(b"\0")
                if not unread or unread == GZIP[:1]:
                    half_magic = unread
                    yield b""
                    break
                if not unread.startswith(GZIP):
                    return  # bytes behind a whole member are not part of the gzip
                member = zlib.decompressobj(wbits=31)
            try:
                piece = member.decompress(unread, PIECE)
            except zlib.error as error:
                raise NotWhole(f"is damaged: {error}") from None
            yield piece
            if member.eof:
                unread, member = member.unused_data, None
            else:
                unread = member.unconsumed_tail
                if not unread and len(piece) < PIECE:
                    break
    if member is not None or half_magic:
        raise CutOff("ends before the end of its gzip")


class TarMembers:
    """Reads the members of a tar in order. whole: the end of the tar was reached."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._source = ByteSource(chunks)
        self.whole = False

    def __iter__(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yields (name, content) of each file. Content that the caller does not read is skipped."""
        name = ""
        while True:
            block = self._source.take(_BLOCK)
            self.whole = block == bytes(_BLOCK)
            if (info := parse_header(block)) is None:
                return
            content = self._source.content(info.size)
            match info.type:
                case tarfile.REGTYPE | tarfile.AREGTYPE:
                    yield name or info.name, content
                    name = ""
                case tarfile.GNUTYPE_LONGNAME if info.size <= _MOST_NAME:
                    name = _text(b"".join(content))
                case tarfile.XHDTYPE if info.size <= _MOST_NAME:
                    path = b"".join(content).partition(b" path=")[2]
                    name = _text(path.partition(b"\n")[0])
                case _:
                    name = ""
            for _ in content:
                pass
            self._source.take(-info.size % _BLOCK)


def is_tar(beginning: bytes) -> bool:
    """Says whether a file with this beginning is a tar."""
    return parse_header(beginning[:_BLOCK]) is not None


class ByteSource:
    """Takes any number of bytes from chunks. taken: how many so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0
        self.taken = 0

    def take_at_most(self, most: int) -> bytes:
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
        """Returns `size` bytes, or fewer at the end."""
        taken = bytearray()
        while len(taken) < size and (piece := self.take_at_most(size - len(taken))):
            taken += piece
        return bytes(taken)

    def content(self, size: int) -> Iterator[bytes]:
        """Yields `size` bytes, or fewer at the end, in pieces. The caller may continue later."""
        while size and (piece := self.take_at_most(min(size, PIECE))):
            size -= len(piece)
            yield piece


def parse_header(block: bytes) -> tarfile.TarInfo | None:
    """Parses a header. Returns None if the block is not a header, as at the end of a tar."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError:
        return None
    return info if info.size >= 0 else None


def _text(name: bytes) -> str:
    return name.split(b"\0")[0].decode("utf-8", "replace")
