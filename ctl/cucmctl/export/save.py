"""Writes the tar that the daemon sends into a tar, a packed tar, a zip or a folder.

The files pass through in pieces. The daemon sends SHA256SUMS before the files, and in their order,
so each file is compared with its checksum while it passes. Only these lines and one piece of the
stream are in memory. A zip also keeps its list of names, and a tar the headers of empty files.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol, TypeAlias, cast

from cucmctl.client.errors import ClientError, ProtocolError

Format: TypeAlias = Literal["zip", "tar", "tgz", "dir"]
CHECKSUMS = "SHA256SUMS"
OTHER_CHECKSUM = "has another checksum"
# Names in one request. A request of a member of the view group may have at most 64 KiB.
_MOST_SUSPECT = 200
# Bytes that are handled at a time. A MiB was measured to take twice the processor time, because it
# does not stay in the processor's cache from one step to the next.
_PIECE = 128 * 1024
# The earliest and the latest date that a zip can store.
_ZIP_BEGINS, _ZIP_ENDS = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)


class Damaged(ClientError):
    """Files are not as they were received. `wrong` maps their names to the reasons."""

    def __init__(self, wrong: dict[str, str]) -> None:
        named = "; ".join(f"{name} {why}" for name, why in wrong.items())
        super().__init__(f"not as received: {named}")
        self.wrong = wrong

    @property
    def suspect(self) -> tuple[str, ...]:
        """Returns names for the next call of `export`: all, or the first of very many."""
        return tuple(self.wrong)[:_MOST_SUSPECT]


class ByteStream(Protocol):
    """The stream: `read` returns at most `size` bytes, and b"" only at the end."""

    def read(self, size: int) -> bytes: ...


class Sink(Protocol):
    """Receives the export: `raw` gets the bytes of the tar, and `add` gets each of its files."""

    def raw(self, data: bytes) -> None: ...
    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None: ...


class DiscardSink:
    """Discards the output after the first damaged file, so that all damaged files get reported."""

    def raw(self, data: bytes) -> None:
        pass

    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
        deque(content, 0)


def save(
    source: ByteStream,
    sink: Sink,
    tell: Callable[[], None] = lambda: None,
    passed: Callable[[str, int], None] = lambda name, end: None,
) -> None:
    """Reads the stream to its end, and writes it to `sink`. `tell` is called after each piece.

    passed  is called after each file, with its name and the bytes of the stream up to its end

    Raises `Damaged` at the end of the stream, `ProtocolError`, `OSError`, and what `source.read`
    raises.
    """
    tee, checksums = _Tee(source, sink.raw, tell), _Checksums()
    wrong: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=cast(IO[bytes], tee), mode="r|", bufsize=_PIECE) as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # else tarfile keeps all headers
                file = tar.extractfile(member)
                if file is None:
                    raise ProtocolError(f"the export has {member.name!r}, which is no file")
                try:
                    pieces = iter(partial(file.read, _PIECE), b"")
                    sink.add(member, checksums.checked(checked_name(member.name), pieces))
                except Damaged as error:
                    wrong |= error.wrong
                    sink, tee.raw = DiscardSink(), DiscardSink().raw
                end = member.offset_data + member.size
                passed(member.name, end + -end % tarfile.BLOCKSIZE)
    except tarfile.TarError as error:
        raise ProtocolError(f"the export is not a valid tar: {error}") from error
    while tee.read(_PIECE):
        pass
    checksums.finish()
    if wrong:
        raise Damaged(wrong)


def checked_name(name: str) -> str:
    """Returns the name. Raises `ProtocolError` if it leads out of the target folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ProtocolError(f"the export has a file {name!r}, which leads out of the target folder")
    return name


class _Tee:
    def __init__(
        self, source: ByteStream, raw: Callable[[bytes], None], tell: Callable[[], None]
    ) -> None:
        self._source = source
        self.raw = raw
        self._tell = tell

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.raw(data)
        self._tell()
        return data


class _Checksums:
    """Compares files with the lines of SHA256SUMS, one after the other."""

    def __init__(self) -> None:
        self._kept = io.BytesIO()
        self._next: tuple[str, str] | None = None

    def checked(self, name: str, content: Iterator[bytes]) -> Iterator[bytes]:
        """Yields the pieces. Raises `Damaged` at the end if the checksum differs."""
        if name == CHECKSUMS:
            for piece in content:
                self._kept.write(piece)
                yield piece
            self._kept.seek(0)
            self._next = self._read()
            return
        digest = hashlib.sha256()
        for piece in content:
            digest.update(piece)
            yield piece
        if self._next is not None and self._next[0] == name:
            checksum, self._next = self._next[1], self._read()
            if checksum != digest.hexdigest():
                raise Damaged({name: OTHER_CHECKSUM})

    def finish(self) -> None:
        """Raises `ProtocolError` if a file of SHA256SUMS has not come."""
        if self._next is not None:
            raise ProtocolError(f"the export has no {self._next[0]}, which {CHECKSUMS} names")

    def _read(self) -> tuple[str, str] | None:
        line = self._kept.readline().decode("utf-8", "surrogateescape").removesuffix("\n")
        if not line:
            return None
        escaped = line.startswith("\\")
        checksum, _, name = line.removeprefix("\\").partition("  ")
        if escaped:  # as sha256sum escapes names with a backslash or an end of line
            parts = name.split("\\\\")
            name = "\\".join(part.replace("\\n", "\n").replace("\\r", "\r") for part in parts)
        return name, checksum


# What was written to standard output cannot be removed. So the output of a sink must not look
# complete before it is.


class _FreezableFile:
    """A file that ignores everything that is written after `freeze`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frozen = False
        self.tell = file.tell
        self.flush = file.flush

    def freeze(self) -> None:
        """Ignores everything that is written from now on."""
        self._frozen = True

    def write(self, data: bytes) -> int:
        return len(data) if self._frozen else self._file.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0 if self._frozen else self._file.seek(offset, whence)


class TarSink:
    """Writes a tar that ends inside the content of a file until everything has come.

    If the stream ended between two files, or inside the header of a file, `tar` would take it for
    a complete archive. So the bytes before the next content are held back: the headers of files
    without content, 0.5 KB each. `close` writes the rest. If the export is not complete, call
    `abandon` instead.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._written = 0
        self._held = deque[memoryview]()  # bytes that are not written yet

    def raw(self, data: bytes) -> None:
        self._held.append(memoryview(data))

    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
        read = member.offset_data
        for piece in content:
            read += len(piece)
            self._write_up_to(read - 1)

    def close(self) -> None:
        self._write_up_to(self._written + sum(map(len, self._held)))
        self._out.flush()

    def abandon(self) -> None:
        """Leaves the incomplete file as it is."""

    def _write_up_to(self, end: int) -> None:
        while (size := end - self._written) > 0:
            piece = self._held.popleft()
            if len(piece) > size:
                self._held.appendleft(piece[size:])
                piece = piece[:size]
            self._out.write(piece)
            self._written += len(piece)


class _Gzip:
    """Packs what is written. Unlike `gzip.GzipFile` it writes nothing when it is destroyed, which
    can happen at any moment after a Ctrl-C.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        # The level of `tar -z`, in gzip format. The header has no time, so that the same job always
        # gives the same bytes.
        self._packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def write(self, data: bytes) -> int:
        self._out.write(self._packer.compress(data))
        return len(data)

    def flush(self) -> None:
        """Writes nothing, because flushing makes a packed stream larger."""

    def close(self) -> None:
        self._out.write(self._packer.flush())
        self._out.flush()


class TgzSink(TarSink):
    """Writes a packed tar. If it is abandoned, the packed stream is incomplete too."""

    def __init__(self, out: IO[bytes]) -> None:
        self._gzip = _Gzip(out)
        super().__init__(cast(IO[bytes], self._gzip))

    def close(self) -> None:
        super().close()
        self._gzip.close()


class ZipSink:
    """Writes a zip without compression, because most logs are compressed already.

    After an error, call `abandon`. Otherwise `ZipFile` writes its directory when it is destroyed,
    and the file looks like a complete zip.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = _FreezableFile(out)
        self._zip = zipfile.ZipFile(
            cast(IO[bytes], self._out), "w", zipfile.ZIP_STORED, allowZip64=True
        )

    def raw(self, data: bytes) -> None:
        pass

    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
        modified = time.gmtime(member.mtime)[:6]
        name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        info = zipfile.ZipInfo(name, min(max(modified, _ZIP_BEGINS), _ZIP_ENDS))
        info.external_attr = 0o100640 << 16
        info.file_size = member.size  # so that zipfile can choose the Zip64 form
        with self._zip.open(info, "w") as entry:
            try:
                for piece in content:
                    entry.write(piece)
            except BaseException:
                self._out.freeze()  # before zipfile writes what follows the content
                raise

    def abandon(self) -> None:
        """Leaves the incomplete file as it is."""
        self._out.freeze()
        with suppress(ValueError):  # raised if an entry was still open
            self._zip.close()

    def close(self) -> None:
        self._zip.close()
        self._out.flush()


class FolderSink:
    """Writes the files into a folder, with their times."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def raw(self, data: bytes) -> None:
        pass

    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
        path = self._folder / os.fsdecode(member.name.encode("utf-8", "surrogateescape"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for piece in content:
                file.write(piece)
        os.utime(path, (member.mtime, member.mtime))
