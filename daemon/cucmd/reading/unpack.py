"""PURE. Gzip and tar, in pieces: as much of them as is whole, and no more than asked for.

Nothing here raises for what the bytes are, and no piece is larger than `PIECE`, however much a gzip
unpacks to. What is damaged or cut off ends there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

PIECE = 64 * 1024
# What zlib gets at once: it copies what it has not used, and a chunk can be of many members.
_FED = 4 * 1024
_GZIP = b"\x1f\x8b"
_BLOCK = 512
# A longer name is not looked at: no path of a node is so long.
_MOST_NAME = 4096


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip, or the bytes themselves where they are none.

    A piece may be empty: what reads it can stop at any of them.
    """
    chunks = iter(chunks)
    beginning = next(chunks, b"")
    chunks = chain((beginning,), chunks)
    return _gunzip(chunks) if beginning.startswith(_GZIP) else chunks


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            for at in range(0, len(chunk), _FED):
                left = chunk[at : at + _FED]
                while left:
                    yield member.decompress(left, PIECE)
                    left = member.unconsumed_tail
                    if member.eof:  # another may follow
                        left = member.unused_data
                        member = zlib.decompressobj(wbits=31)
        # What was held back at the last piece: less than a window of the compression.
        yield member.flush()
    except zlib.error:
        return


class TarMembers:
    """The members of a tar, in their order. `whole`: its end was reached."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._source = _Source(chunks)
        self.whole = False

    def __iter__(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """(name, content) of each file. What was not read of one is skipped."""
        name = ""
        while (header := self._header()) is not None:
            kind, size, own_name = header
            content = _Content(self._source, size)
            match kind:
                case b"0" | b"\0":
                    yield name or own_name, content
                    name = ""
                case b"L" if size <= _MOST_NAME:  # GNU: the name of the next
                    name = _text(b"".join(content))
                case b"x" if size <= _MOST_NAME:  # pax
                    name = _pax_path(b"".join(content))
                case _:
                    name = ""
            content.skip()
            self._source.take(-size % _BLOCK)

    def _header(self) -> tuple[bytes, int, str] | None:
        block = self._source.take(_BLOCK)
        self.whole = block == bytes(_BLOCK)
        return _parse(block)


def is_tar(beginning: bytes) -> bool:
    return _parse(beginning[:_BLOCK]) is not None


class _Source:
    """Takes any number of bytes from chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._ahead = b""

    def some(self, most: int) -> bytes:
        """At least one byte, and at most `most`; empty at the end."""
        while not self._ahead:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._ahead = chunk
        piece, self._ahead = self._ahead[:most], self._ahead[most:]
        return piece

    def take(self, size: int) -> bytes:
        """`size` bytes, or what is left."""
        taken = bytearray()
        while len(taken) < size and (piece := self.some(size - len(taken))):
            taken += piece
        return bytes(taken)


class _Content:
    """The bytes of one member."""

    def __init__(self, source: _Source, size: int) -> None:
        self._source = source
        self._left = size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._source.some(min(self._left, PIECE)) if self._left else b""
        if not piece:
            self._left = 0
            raise StopIteration
        self._left -= len(piece)
        return piece

    def skip(self) -> None:
        for _ in self:
            pass


def _parse(block: bytes) -> tuple[bytes, int, str] | None:
    """(type, size, name) of a header. None for what is none, as at the end of a tar."""
    if len(block) < _BLOCK:
        return None
    if _number(block[148:156]) != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
        return None
    size = _number(block[124:136])
    if size is None or size < 0:
        return None
    name, kind, prefix = block[:100], block[156:157], block[345:500]
    if block[257:263] == b"ustar\0" and prefix[:1] != b"\0":
        name = prefix.split(b"\0")[0] + b"/" + name
    return kind, size, _text(name)


def _number(field: bytes) -> int | None:
    if field[:1] == b"\x80":  # GNU: too large for octal digits
        return int.from_bytes(field[1:])
    try:
        return int(field.strip(b" \0"), 8)
    except ValueError:
        return None


def _pax_path(records: bytes) -> str:
    for record in records.split(b"\n"):
        if (at := record.find(b" path=")) >= 0:
            return _text(record[at + len(b" path=") :])
    return ""


def _text(name: bytes) -> str:
    return name.split(b"\0")[0].decode("utf-8", "replace")
