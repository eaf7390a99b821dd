"""Reads what a file holds, and writes it again with masks.

A file can be text, a packed file, or an archive with files. Files are read in pieces, so that the
memory does not grow with the file. Any other file, such as a packet capture, raises `LeftOut`.

A packed file can be cut: a trace that the node still writes has a name that ends in `.gzo`, and no
end yet. Such a file is masked up to its last whole line, and the new file has an end. What comes
after that line is dropped, because a number or a name that is cut could not be recognized.
"""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from cucmmask.dumps import whole_lines
from cucmmask.table import table_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Bytes that are masked at a time, and the longest line.
_PIECE = 1024 * 1024
_LONGEST_LINE = 16 * _PIECE
# How many archives may be inside each other. A packed tar counts as two.
_DEEPEST = 8
# Bytes by which a file is recognized.
_HEAD = 512
_CAPTURES = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a")
# Characters that are not in traces: those below a blank, but for tab, end of line and escape.
_CONTROLS = bytes({*range(32), 127} - {*b"\t\n\r\f\x1b"})
_CUT = "its end, because it is cut"
# Bytes that are read at a time from a file that may be cut. `tarfile` loses the bytes of a read
# that fails, so each read is small.
_SMALL_PIECE = 4096
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
# Packing at level 6 would take twice as long as masking.
_GZIP_LEVEL = 1


class LeftOut(Exception):
    """A file cannot be masked. The text says why.

    The text is written without being masked or searched. So it never has the text of an error of
    `zipfile`, which may have the name of a file in it.
    """


@contextmanager
def damage_left_out() -> Iterator[None]:
    """Raises `LeftOut` instead of what is raised where a packed file or an archive is damaged."""
    try:
        yield
    except _DAMAGED:
        raise LeftOut("damaged") from None
    except OSError as error:
        if error.errno is not None:  # of the kernel; those of bz2 and gzip have no number
            raise
        raise LeftOut("damaged") from None


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """Opens a file of a zip. Raises `LeftOut` and `OSError`."""
    try:
        with damage_left_out():
            return archive.open(member)
    except RuntimeError:
        encrypted = member.flag_bits & 1
        raise LeftOut("encrypted" if encrypted else "packed in an unknown way") from None


class Content:
    """Passes the text of files to a function, and writes what the function returns.

    change    gets some lines of text, and returns what is written for them
    rename    gets the name of a file in an archive, and returns the new name
    left_out  what was left out: (path in the archive, or "" for the file itself; reason)
    """

    def __init__(self, change: Callable[[str], str], rename: Callable[[str], str]) -> None:
        self._change = change
        self._rename = rename
        self.left_out: list[tuple[str, str]] = []

    def copy(self, source: IO[bytes], out: IO[bytes]) -> None:
        """Copies one file. Raises `LeftOut` and `OSError`."""
        with damage_left_out():
            self._copy(source, out, 0, "")

    def _copy(self, source: IO[bytes], out: IO[bytes], depth: int, name: str) -> None:
        stream = cast(io.BufferedReader, source)  # all that is opened here can be peeked at
        head = stream.peek(_HEAD)[:_HEAD]
        if depth > _DEEPEST:
            raise LeftOut(f"more than {_DEEPEST} archives inside each other")
        if head.startswith(b"\x1f\x8b"):
            with (
                UpToCut(gzip.GzipFile(fileobj=stream)) as unpacked,
                gzip.GzipFile("", "wb", _GZIP_LEVEL, out, 0) as packed,
            ):
                self._copy(io.BufferedReader(unpacked), cast(IO[bytes], packed), depth + 1, name)
                if unpacked.cut:
                    self._is_cut(name)
        elif head[257:262] == b"ustar":
            self._copy_tar(stream, out, depth, name)
        elif head.startswith(b"PK\x03\x04"):
            self._copy_zip(stream, out, depth, name)
        elif head.startswith(_CAPTURES):
            raise LeftOut("a packet capture")
        elif head.startswith(b"%PDF-"):
            raise LeftOut("a PDF")  # which begins like text
        elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise LeftOut("text in UTF-16")
        else:
            change, is_first = self._change, True
            for piece in text_pieces(stream):
                if is_first and (table := table_of(piece)) is not None:
                    change = partial(table.change, change=change)
                is_first = False
                out.write(change(piece).encode("utf-8", "surrogateescape"))

    def _copy_tar(self, stream: IO[bytes], out: IO[bytes], depth: int, name: str) -> None:
        with (
            tarfile.open(fileobj=stream, mode="r|") as old,
            tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as new,
        ):
            while True:
                try:
                    member = old.next()
                except tarfile.ReadError:  # of a tar that is cut: the first header was read
                    self._is_cut(name)
                    break
                if member is None:
                    break
                old.members = []  # type: ignore[attr-defined]  # else it keeps all headers
                path = f"{name}/{member.name}".lstrip("/")
                content = old.extractfile(member) if member.isfile() else None
                if content is None:
                    if not member.isdir():
                        self.left_out.append((path, "is no regular file"))
                    continue
                file = cast(io.BufferedReader, content)
                with UpToCut(file) as whole, tempfile.TemporaryFile() as masked:
                    if self._copied(io.BufferedReader(whole), masked, depth, path):
                        info = tarfile.TarInfo(self._rename(member.name))
                        info.size, info.mtime = masked.tell(), member.mtime
                        masked.seek(0)
                        new.addfile(info, masked)
                    if whole.cut:
                        self._is_cut(path)

    def _copy_zip(self, stream: IO[bytes], out: IO[bytes], depth: int, name: str) -> None:
        with tempfile.TemporaryFile() as seekable:
            shutil.copyfileobj(stream, seekable)
            try:
                old = zipfile.ZipFile(seekable)
            except NotImplementedError:  # the zip says that it needs a later version
                raise LeftOut("packed in an unknown way") from None
            with (
                old,
                zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
            ):
                for member in old.infolist():
                    if member.is_dir():
                        continue
                    path = f"{name}/{member.filename}".lstrip("/")
                    try:
                        content = open_member(old, member)
                    except LeftOut as error:
                        self.left_out.append((path, str(error)))
                        continue
                    with content, tempfile.TemporaryFile() as masked:
                        if self._copied(content, masked, depth, path):
                            masked.seek(0)
                            info = zipfile.ZipInfo(self._rename(member.filename), member.date_time)
                            with new.open(info, "w", force_zip64=True) as target:
                                shutil.copyfileobj(masked, target)

    def _is_cut(self, path: str) -> None:
        if (path, _CUT) not in self.left_out:  # as a tar, and as a packed file
            self.left_out.append((path, _CUT))

    def _copied(self, content: IO[bytes], out: IO[bytes], depth: int, path: str) -> bool:
        """Copies a file of an archive. Returns False if it is left out."""
        try:
            with damage_left_out():
                self._copy(content, out, depth + 1, path)
        except LeftOut as error:
            self.left_out.append((path, str(error)))
            return False
        return True


class UpToCut(io.RawIOBase):
    """Ends where a packed file or a tar is cut, instead of raising an error.

    cut  whether the end was missing
    """

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self.cut = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        read, view = 0, memoryview(buffer)
        while read < len(view) and not self.cut:
            try:
                data = self._file.read1(min(len(view) - read, _SMALL_PIECE))
            except (EOFError, tarfile.ReadError):
                self.cut = True
                break
            if not data:
                break
            view[read : read + len(data)] = data
            read += len(data)
        return read


def _is_text(data: bytes) -> bool:
    """Returns whether at most an eighth of the data is no UTF-8, or control characters.

    Other encodings can thus be told from a trace with some names in them: text in UTF-16 without a
    sign in ASCII has no NUL byte, but many other such bytes.
    """
    in_utf8 = len(data if data.isascii() else data.decode("utf-8", "ignore").encode())
    # Most text has none of them, and `in` is many times faster than `count`.
    controls = sum(data.count(control) for control in _CONTROLS if control in data)
    return 8 * (in_utf8 - controls) >= 7 * len(data)


def text_pieces(stream: IO[bytes]) -> Iterator[str]:
    """Yields text in pieces of whole lines. Raises `LeftOut` if the file is no text.

    If the stream is an `UpToCut` whose end is missing, the last line, which is cut, is left out.
    """
    rest = b""
    while data := stream.read(_PIECE):
        if b"\0" in data or not _is_text(rest + data):
            raise LeftOut("no text in UTF-8")
        text = (rest + data).decode("utf-8", "surrogateescape")
        end = whole_lines(text)
        yield text[:end]
        rest = text[end:].encode("utf-8", "surrogateescape")
        if len(rest) > _LONGEST_LINE:
            raise LeftOut(f"a line of more than {_LONGEST_LINE >> 20} MB")
    if not (isinstance(raw := getattr(stream, "raw", None), UpToCut) and raw.cut):
        yield rest.decode("utf-8", "surrogateescape")
