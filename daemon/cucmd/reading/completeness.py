"""Reads a gzip and the tar in it to their end: says whether they are whole, and what they contain.

    gzip   Each member is checked by its CRC and length. As with `gzip -t`, zeros behind the last
           member are padding, and other bytes behind a whole member are not part of the gzip.
    tar    Each header is read, up to the block of zeros that ends the tar. For links, and for files
           with holes, the tar does not have the sizes that the node announced.

A cut cannot be detected in two places: exactly between two members of a gzip, and before the first
byte.

The kernel limits the time for reading (`worker/confine.py`), and at most one piece is in memory.
`tarfile` only parses single blocks, because its own handling of long names, chains of headers and
holes has no limit.
"""

from __future__ import annotations

import errno
import os
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

import msgspec

from cucmd.reading.unpack import GZIP, PIECE, ByteSource, NotWhole, gunzip, parse_header
from cucmd.received_file import Contents, FileRead
from cucmd.worker.forked import Channel
from cucmd.worker.frames import ReadToEnd

_CHUNK_SIZE = 64 * 1024  # bytes that are read at once
_BLOCK = tarfile.BLOCKSIZE
# Longer pax headers are ignored. A real pax header holds only a name and a few timestamps.
_MOST_PAX = 1024 * 1024
_PAX_SIZE = re.compile(rb"(?:\A|\n)\d{1,8} size=(\d{1,20})\n")

_ASKED = msgspec.msgpack.Decoder(ReadToEnd)
# Links are not followed, and O_NONBLOCK keeps a FIFO from blocking the process.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def read_files(channel: Channel) -> None:
    """Runs as a process that reads the files of one node to their end."""
    while True:
        asked = channel.receive(_ASKED)
        channel.send(read_file(asked.path, archive=asked.archive))


def read_file(path: str, *, archive: bool) -> FileRead:
    """Reads one file to its end. Returns what is wrong with it, or the contents of an archive."""
    try:
        with open(os.open(path, _FLAGS), "rb", buffering=0) as file:
            try:
                if archive:
                    return FileRead(contents=read_archive(file))
                read_gzip(file)
                return FileRead()
            finally:
                # Pages that were read only for this check must not push other files out of memory.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except NotWhole as error:
        return FileRead(wrong=str(error))
    except OSError as error:
        return FileRead(error=error.errno or errno.EIO)


def read_gzip(file: BinaryIO) -> None:
    """Reads a file to its end if it is a gzip, and ignores what is in it.

    Raises `NotWhole`, `OSError`.
    """
    chunks = _chunks(file)
    beginning = next(chunks, b"")
    if _may_be_gzip(beginning):
        for _ in gunzip(chain((beginning,), chunks)):
            pass


def read_archive(file: BinaryIO) -> Contents | None:
    """Reads a tar, packed as gzip or not, to its end. Returns None if the file is neither.

    A gzip without a tar in it counts as one file. Raises `NotWhole`, `OSError`.
    """
    chunks = _chunks(file)
    beginning = next(chunks, b"")
    packed = _may_be_gzip(beginning)
    if not packed and beginning[:1] in {b"", b"\0"}:  # a tar begins with a name
        return None
    chunks = chain((beginning,), chunks)
    source = ByteSource(gunzip(chunks) if packed else chunks)
    found = TarReader(source).read()
    if found is None and not packed:
        return None
    while source.take_at_most(PIECE):
        pass
    return found or Contents(1, source.taken)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(file.read, _CHUNK_SIZE), b"")


def _may_be_gzip(beginning: bytes) -> bool:
    """Returns whether a file with this beginning may be a gzip, even if cut after one byte."""
    return beginning.startswith(GZIP) or beginning == GZIP[:1]


class TarReader:
    """Counts the files of a tar."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._files = 0
        self._size = 0
        self._sizes_known = True
        self._size_of_next: int | None = None  # from a pax header

    def read(self) -> Contents | None:
        """Reads up to the end of the tar. Returns None if it is no tar. Raises `NotWhole`."""
        found_header = False
        while (block := self._source.take(_BLOCK)).count(0) < _BLOCK:
            info = parse_header(block)
            if info is None and not found_header:
                return None
            if len(block) < _BLOCK:
                raise NotWhole("ends before the end of its tar")
            if info is None:
                raise NotWhole("is damaged: a header of its tar")
            found_header = True
            if info.type == tarfile.XHDTYPE and 0 < info.size <= _MOST_PAX:
                records = self._source.take(_padded(info.size))
                if found := _PAX_SIZE.search(records):
                    self._size_of_next = int(found[1])
                if b"GNU.sparse." in records:
                    self._sizes_known = False
            elif info.type in _EXTENSIONS:
                self._skip(info.size)
            else:
                self._member(info, block)
        return Contents(self._files, self._size if self._sizes_known else None)

    def _member(self, info: tarfile.TarInfo, block: bytes) -> None:
        size = info.size if self._size_of_next is None else self._size_of_next
        self._size_of_next = None
        if info.type in _NO_CONTENT:
            size = 0  # whatever the header says
        if info.type in _LINKS or info.type in tarfile.REGULAR_TYPES:
            self._files += 1
            self._size += size
        if info.type in _LINKS or info.type == tarfile.GNUTYPE_SPARSE:
            self._sizes_known = False
        if info.type == tarfile.GNUTYPE_SPARSE and block[482]:
            while any(self._source.take(_BLOCK)[504:505]):
                pass  # each of these blocks lists more holes of the file
        self._skip(size)

    def _skip(self, size: int) -> None:
        for _ in self._source.content(_padded(size)):
            pass


_EXTENSIONS = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)
_LINKS = frozenset({tarfile.LNKTYPE, tarfile.SYMTYPE})
_NO_CONTENT = _LINKS | {tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}


def _padded(size: int) -> int:
    return size + -size % _BLOCK
