"""Reads a gzip, and the tar in it, to their end: whether they are whole, and what they have.

    gzip   each of its members, with CRC and length. Zeros behind the last are padding, and other
           bytes behind a whole member are none of it, both as `gzip -t` has it
    tar    each header, up to the block of zeros that ends it. Of links, and of files with holes,
           it does not tell how many bytes they were announced with

Not seen: a cut exactly between two members of a gzip, and one before the first byte.

How long that may take is for the kernel to say (`worker/confine.py`). It takes memory for a piece:
no name and no extension of a header is kept, and `tarfile` reads single blocks only, since what it
does on its own with long names, chains of headers and holes has no limit.
"""

from __future__ import annotations

import errno
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

import msgspec

from cucmd.reading.unpack import GZIP, NotWhole, gunzip
from cucmd.received_file import Contents, FileRead
from cucmd.worker.forked import Channel
from cucmd.worker.frames import ReadToEnd

_CHUNK = 64 * 1024  # that is read at once
_BLOCK = tarfile.BLOCKSIZE
# A pax header that is longer is not looked at; real ones have a name and some times.
_MOST_PAX = 1024 * 1024
_PAX_SIZE = re.compile(rb"(?:\A|\n)\d{1,8} size=(\d{1,20})\n")


_ASKED = msgspec.msgpack.Decoder(ReadToEnd)
# No link is followed, and nothing is waited for that is no file.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def read_files(channel: Channel) -> None:
    """What a process does that reads the files of one node to their end."""
    while True:
        asked = channel.receive(_ASKED)
        channel.send(read_file(asked.path, archive=asked.archive))


def read_file(path: str, *, archive: bool) -> FileRead:
    try:
        with open(os.open(path, _FLAGS), "rb", buffering=0) as file:
            try:
                if archive:
                    return FileRead(contents=read_archive(file))
                read_gzip(file)
                return FileRead()
            finally:
                # What was read only to be checked need not keep other files out of memory.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except NotWhole as error:
        return FileRead(wrong=str(error))
    except OSError as error:
        return FileRead(error=error.errno or errno.EIO)


def read_gzip(file: BinaryIO) -> None:
    """Reads a file to its end if it is a gzip; does not look at what is in it.

    Raises `NotWhole`, `OSError`.
    """
    chunks = _chunks(file)
    first = next(chunks, b"")
    if _may_be_gzip(first):
        for _ in gunzip(chain((first,), chunks)):
            pass


def read_archive(file: BinaryIO) -> Contents | None:
    """Reads a tar, packed as gzip or not, to its end. None: the file is neither.

    A gzip without a tar in it counts as one file. Raises `NotWhole`, `OSError`.
    """
    chunks = _chunks(file)
    first = next(chunks, b"")
    packed = _may_be_gzip(first)
    if not packed and first[:1] in {b"", b"\0"}:  # a tar begins with a name
        return None
    chunks = chain((first,), chunks)
    tar = TarReader()
    for piece in gunzip(chunks) if packed else chunks:
        tar.feed(piece)
        if not packed and tar.is_other:
            return None
    return tar.end() if packed or tar.began else None


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(file.read, _CHUNK), b"")


def _may_be_gzip(beginning: bytes) -> bool:
    """Also where the file ends within the two bytes that mark a gzip, but not where it is empty."""
    return beginning.startswith(GZIP) or beginning == GZIP[:1]


class TarReader:
    """Counts the files of a tar, which is fed in pieces of any size.

    is_other   it is no tar
    began      it is one
    """

    def __init__(self) -> None:
        self.is_other = False
        self.began = False
        self._ended = False
        self._files = 0
        self._size = 0
        self._sizes_known = True
        self._fed = 0
        self._skip = 0
        self._content = 0  # bytes that follow the headers of a file with holes
        self._held = bytearray()
        self._need = _BLOCK
        # What is done with the block that comes next.
        self._take: Callable[[bytes], None] = self._header
        self._size_of_next: int | None = None  # by a pax header

    def feed(self, piece: bytes) -> None:
        """Raises `NotWhole`."""
        self._fed += len(piece)
        at = 0
        while at < len(piece) and not self._ended and not self.is_other:
            step = min(self._skip or self._need - len(self._held), len(piece) - at)
            if self._skip:
                self._skip -= step
            else:
                self._held += piece[at : at + step]
                if len(self._held) == self._need:
                    block = bytes(self._held)
                    self._held.clear()
                    self._take(block)
            at += step

    def end(self) -> Contents:
        """There is no more. Raises `NotWhole`."""
        if not self.began:
            return Contents(1, self._fed)
        if not self._ended:
            raise NotWhole("ends before the end of its tar")
        return Contents(self._files, self._size if self._sizes_known else None)

    def _header(self, block: bytes) -> None:
        if block.count(0) == _BLOCK:
            self.began = self._ended = True
            return
        try:
            # A copy of the block: names of it that are no text are of no interest.
            info = tarfile.TarInfo.frombuf(block, "latin-1", "replace")
        except tarfile.HeaderError:
            info = None
        if info is None or info.size < 0:
            if self.began:
                raise NotWhole("is damaged: a header of its tar")
            self.is_other = True
            return
        self.began = True
        if info.type == tarfile.XHDTYPE and 0 < info.size <= _MOST_PAX:
            self._expect(_padded(info.size), self._pax)
        elif info.type in _EXTENSIONS:
            self._skip = _padded(info.size)
        else:
            self._member(info, block)

    def _member(self, info: tarfile.TarInfo, block: bytes) -> None:
        size = info.size if self._size_of_next is None else self._size_of_next
        self._size_of_next = None
        if info.type in _NO_CONTENT:
            size = 0  # whatever it says
        if info.type in _LINKS or info.type in tarfile.REGULAR_TYPES:
            self._files += 1
            self._size += size
        if info.type in _LINKS or info.type == tarfile.GNUTYPE_SPARSE:
            self._sizes_known = False
        if info.type == tarfile.GNUTYPE_SPARSE and block[482]:
            self._content = _padded(size)
            self._expect(_BLOCK, self._more_holes)
        else:
            self._skip = _padded(size)

    def _more_holes(self, block: bytes) -> None:
        if not block[504]:
            self._expect(_BLOCK, self._header)
            self._skip = self._content

    def _pax(self, records: bytes) -> None:
        if found := _PAX_SIZE.search(records):
            self._size_of_next = int(found[1])
        if b"GNU.sparse." in records:
            self._sizes_known = False
        self._expect(_BLOCK, self._header)

    def _expect(self, size: int, take: Callable[[bytes], None]) -> None:
        self._need, self._take = size, take


_EXTENSIONS = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)
_LINKS = frozenset({tarfile.LNKTYPE, tarfile.SYMTYPE})
_NO_CONTENT = _LINKS | {tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}


def _padded(size: int) -> int:
    return size + -size % _BLOCK
