"""PURE. The entries of a job's tar: headers, padding, and how long all of it is.

The length that is told before the first byte is that of what follows. So everything in a header is
known before.
"""

from __future__ import annotations

import tarfile

import msgspec

_BLOCK = tarfile.BLOCKSIZE
# Two blocks of zeros; not padded to a record of 20 blocks, which no reader needs.
END = bytes(2 * _BLOCK)


class Entry(msgspec.Struct, frozen=True):
    """`name`: the path in the tar. `size`: bytes. `modified`: seconds since 1970."""

    name: str
    size: int
    modified: int

    def header(self) -> bytes:
        """In the pax format, which has no limit for names and sizes."""
        info = tarfile.TarInfo(self.name)
        info.size, info.mtime, info.mode = self.size, self.modified, 0o640
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def padding(self) -> bytes:
        return bytes(-self.size % _BLOCK)

    def length(self) -> int:
        """Of header, content and padding."""
        return len(self.header()) + self.size + len(self.padding())
