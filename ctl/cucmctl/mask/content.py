"""Reads what a file holds, and writes it again with masks.

A file can be text, a packed file, or an archive with files. All of this is read in pieces, so that
the memory does not grow with the file. What is nothing of this raises `LeftOut`.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, cast

from cucmmask.text import whole_lines

# Bytes that are masked at a time, and the longest line.
_PIECE = 1024 * 1024
_LONGEST_LINE = 16 * _PIECE
# How many archives may be inside each other.
_DEEPEST = 4
# Bytes by which a file is recognized.
_HEAD = 512
_CAPTURES = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a")
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile)
# Level 6 would take twice as long as masking.
_GZIP_LEVEL = 1


class LeftOut(Exception):
    """A file cannot be masked. The text says why."""


class Content:
    """Passes the text of files to a function, and writes what the function returns.

    change    gets some lines of text, and returns what is written for them
    rename    gets the name of a file in an archive, and returns the new name
    left_out  the files in archives that were left out: (name, reason)
    """

    def __init__(self, change: Callable[[str], str], rename: Callable[[str], str]) -> None:
        self._change = change
        self._rename = rename
        self.left_out: list[tuple[str, str]] = []

    def copy(self, source: IO[bytes], out: IO[bytes]) -> None:
        """Copies one file. Raises `LeftOut` and `OSError`."""
        try:
            self._copy(source, out, 0)
        except _DAMAGED as error:
            raise LeftOut(f"damaged: {error}") from None

    def _copy(self, source: IO[bytes], out: IO[bytes], depth: int) -> None:
        stream = cast(io.BufferedReader, source)  # all that is opened here can be peeked at
        head = stream.peek(_HEAD)[:_HEAD]
        if depth > _DEEPEST:
            raise LeftOut(f"more than {_DEEPEST} archives inside each other")
        if head.startswith(b"\x1f\x8b"):
            with (
                gzip.GzipFile(fileobj=stream) as unpacked,
                gzip.GzipFile("", "wb", _GZIP_LEVEL, out, 0) as packed,
            ):
                self._copy(cast(IO[bytes], unpacked), cast(IO[bytes], packed), depth + 1)
        elif head[257:262] == b"ustar":
            self._copy_tar(stream, out, depth)
        elif head.startswith(b"PK\x03\x04"):
            self._copy_zip(stream, out, depth)
        elif head.startswith(_CAPTURES):
            raise LeftOut("a packet capture")
        else:
            for piece in text_pieces(stream):
                out.write(self._change(piece).encode("utf-8", "surrogateescape"))

    def _copy_tar(self, stream: IO[bytes], out: IO[bytes], depth: int) -> None:
        with (
            tarfile.open(fileobj=stream, mode="r|") as old,
            tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as new,
        ):
            for member in old:
                old.members = []  # type: ignore[attr-defined]  # else it keeps all headers
                content = old.extractfile(member) if member.isfile() else None
                if content is None:
                    if not member.isdir():
                        self.left_out.append((member.name, "is no regular file"))
                    continue
                with tempfile.TemporaryFile() as masked:
                    if self._copied(content, masked, member.name, depth):
                        info = tarfile.TarInfo(self._rename(member.name))
                        info.size, info.mtime = masked.tell(), member.mtime
                        masked.seek(0)
                        new.addfile(info, masked)

    def _copy_zip(self, stream: IO[bytes], out: IO[bytes], depth: int) -> None:
        with tempfile.TemporaryFile() as seekable:
            while piece := stream.read(_PIECE):
                seekable.write(piece)
            with (
                zipfile.ZipFile(seekable) as old,
                zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
            ):
                for member in old.infolist():
                    if member.is_dir():
                        continue
                    with old.open(member) as content, tempfile.TemporaryFile() as masked:
                        if self._copied(content, masked, member.filename, depth):
                            masked.seek(0)
                            info = zipfile.ZipInfo(self._rename(member.filename), member.date_time)
                            with new.open(info, "w", force_zip64=True) as target:
                                while piece := masked.read(_PIECE):
                                    target.write(piece)

    def _copied(self, content: IO[bytes], out: IO[bytes], name: str, depth: int) -> bool:
        """Copies a file of an archive. Returns False if it is left out."""
        try:
            self._copy(content, out, depth + 1)
        except LeftOut as error:
            self.left_out.append((name, str(error)))
            return False
        return True


def text_pieces(stream: IO[bytes]) -> Iterator[str]:
    """Yields text in pieces of whole lines. Raises `LeftOut` if the file is no text."""
    rest = b""
    while data := stream.read(_PIECE):
        if b"\0" in data:
            raise LeftOut("no text")
        text = (rest + data).decode("utf-8", "surrogateescape")
        end = whole_lines(text)
        yield text[:end]
        rest = text[end:].encode("utf-8", "surrogateescape")
        if len(rest) > _LONGEST_LINE:
            raise LeftOut(f"a line of more than {_LONGEST_LINE >> 20} MB")
    yield rest.decode("utf-8", "surrogateescape")
