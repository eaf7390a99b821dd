"""Turns a job's tar, as it comes from the daemon, into a tar, packed or not, a zip or a folder.

A part goes on to its target as it passes, and is compared with its checksum there.

The daemon sends SHA256SUMS before the files, in their order. So each file is compared as it passes,
and nothing is kept in memory but these lines and a piece of the stream. A zip also needs its list
of names, a tar the heads of files without content.
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
# Names in one request, which may have 64 KiB.
_MOST_SUSPECT = 200
# Bytes that are handled at once. Measured: a MiB, which leaves the processor's cache between the
# steps, takes twice as much of its time.
_PIECE = 128 * 1024
# The earliest and the latest date that a zip can hold.
_ZIP_BEGINS, _ZIP_ENDS = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)


class Damaged(ClientError):
    """Files are not as they were when they were received. `wrong`: why, by their names."""

    def __init__(self, wrong: dict[str, str]) -> None:
        named = "; ".join(f"{name} {why}" for name, why in wrong.items())
        super().__init__(f"not as received: {named}")
        self.wrong = wrong

    @property
    def suspect(self) -> tuple[str, ...]:
        """Returns the names for the next call of `Export`; of very many only the first."""
        return tuple(self.wrong)[:_MOST_SUSPECT]


class ByteStream(Protocol):
    """The stream: `read` gives what there is, at most `size` bytes, b"" at its end."""

    def read(self, size: int) -> bytes: ...


class Sink(Protocol):
    """Takes the parts. `raw` is given the stream as it is, `add` each file of it."""

    def raw(self, data: bytes) -> None: ...
    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None: ...


class DiscardSink:
    """What is behind a damaged file goes here: it is read, so that all of these are known."""

    def raw(self, data: bytes) -> None:
        pass

    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
        deque(content, 0)


def save(source: ByteStream, sink: Sink, tell: Callable[[], None] = lambda: None) -> None:
    """Reads the stream to its end. The parts go to `sink`. `tell` is called after each piece.

    Raises `Damaged` at the end of the stream, `ProtocolError`, `OSError`, and what `read` of the
    source raises.
    """
    tee, checksums = _Tee(source, sink.raw, tell), _Checksums()
    wrong: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=cast(IO[bytes], tee), mode="r|", bufsize=_PIECE) as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # it keeps what it has read
                file = tar.extractfile(member)
                if file is None:
                    raise ProtocolError(f"the export has {member.name!r}, which is no file")
                try:
                    pieces = iter(partial(file.read, _PIECE), b"")
                    sink.add(member, checksums.checked(checked_name(member.name), pieces))
                except Damaged as error:
                    wrong |= error.wrong
                    sink, tee.raw = DiscardSink(), DiscardSink().raw
    except tarfile.TarError as error:
        raise ProtocolError(f"the export is not as agreed: {error}") from error
    while tee.read(_PIECE):
        pass
    checksums.finish()
    if wrong:
        raise Damaged(wrong)


def checked_name(name: str) -> str:
    """Raises `ProtocolError` for a name that leads out of the target."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ProtocolError(f"the export has a file {name!r}, outside of itself")
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
        """Yields the pieces; at the end raises `Damaged` if the file differs from its checksum."""
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
        if self._next is not None:
            raise ProtocolError(f"the export has no {self._next[0]}, which {CHECKSUMS} names")

    def _read(self) -> tuple[str, str] | None:
        line = self._kept.readline().decode("utf-8", "surrogateescape").removesuffix("\n")
        if not line:
            return None
        escaped = line.startswith("\\")
        checksum, _, name = line.removeprefix("\\").partition("  ")
        return (_unescaped(name) if escaped else name), checksum


def _unescaped(name: str) -> str:
    parts = name.split("\\\\")
    return "\\".join(part.replace("\\n", "\n").replace("\\r", "\r") for part in parts)


# Where it goes. On standard output what was written stays, so it must not look whole before it is.


class _FreezableFile:
    """Writes a file of which nothing is changed any more after `cut_off`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frozen = False
        self.tell = file.tell
        self.flush = file.flush

    def freeze(self) -> None:
        self._frozen = True

    def write(self, data: bytes) -> int:
        return len(data) if self._frozen else self._file.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0 if self._frozen else self._file.seek(offset, whence)


class TarSink:
    """What is written ends within the content of a file until all of it is whole: `tar` takes an
    end between two files, or in what is said before the second, for that of the archive.

    What waits for the next content is kept: the heads of files without any, 0.5 KB each.

    `close` writes the rest, if all of it is whole; else it is to be abandoned.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._written = 0
        self._held = deque[memoryview]()  # what follows

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
        """Leaves what was written as it is."""

    def _write_up_to(self, end: int) -> None:
        while (size := end - self._written) > 0:
            piece = self._held.popleft()
            if len(piece) > size:
                self._held.appendleft(piece[size:])
                piece = piece[:size]
            self._out.write(piece)
            self._written += len(piece)


class _Gzip:
    """Packs what is written to it. Unlike `gzip.GzipFile` it does nothing when it is destroyed,
    which after a Ctrl-C may be at any moment.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        # The level of `tar -z`, in the form of gzip. It has no time: what is packed has them, and
        # the same job gives the same.
        self._packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def write(self, data: bytes) -> int:
        self._out.write(self._packer.compress(data))
        return len(data)

    def flush(self) -> None:
        """Does nothing: it would cost a packed stream its size."""

    def close(self) -> None:
        self._out.write(self._packer.flush())
        self._out.flush()


class TgzSink(TarSink):
    """Writes a packed tar. What is abandoned ends within the packed stream, too."""

    def __init__(self, out: IO[bytes]) -> None:
        self._gzip = _Gzip(out)
        super().__init__(cast(IO[bytes], self._gzip))

    def close(self) -> None:
        super().close()
        self._gzip.close()


class ZipSink:
    """Stores files, and does not compress them: most logs are compressed already.

    After an error it must be abandoned: `ZipFile` would write its directory when it is destroyed,
    and without that it is no zip.
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
        info.file_size = member.size  # by which it knows whether to use the Zip64 form
        with self._zip.open(info, "w") as entry:
            try:
                for piece in content:
                    entry.write(piece)
            except BaseException:
                self._out.freeze()  # before what is said behind the content
                raise

    def abandon(self) -> None:
        """Leaves what was written as it is."""
        self._out.freeze()
        with suppress(ValueError):  # interrupted as it opened an entry
            self._zip.close()

    def close(self) -> None:
        self._zip.close()
        self._out.flush()


class FolderSink:
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
