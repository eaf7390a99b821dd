"""Reads the files that are masked, from a folder or an archive."""

from __future__ import annotations

import calendar
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import IO, Protocol, cast

from cucmctl.mask.content import LeftOut, UpToCut, open_member

# The earliest date that a zip can store, in seconds since 1970: the beginning of 1980.
_ZIP_BEGINS = 315_532_800


class Source(Protocol):
    """What files are read from.

    names     returns the names of all files
    open      opens a file; raises `LeftOut` if it cannot be masked, and `OSError`
    modified  returns when a file was changed, in seconds since 1970
    size      returns the bytes of a file
    """

    def names(self) -> list[str]: ...
    def open(self, name: str) -> IO[bytes]: ...
    def modified(self, name: str) -> float: ...
    def size(self, name: str) -> int: ...


class FolderSource:
    """A folder, or one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        if self._path.is_file():
            return [self._path.name]
        files = (file for file in self._path.rglob("*") if not file.is_dir() or file.is_symlink())
        return sorted(str(file.relative_to(self._path)) for file in files)

    def open(self, name: str) -> IO[bytes]:
        file = self._of(name)
        if not os.path.lexists(file):
            raise LeftOut("was removed while the files were masked")
        if file.is_symlink() or not file.is_file():
            raise LeftOut("is no regular file")
        return file.open("rb")

    def modified(self, name: str) -> float:
        return self._of(name).lstat().st_mtime

    def size(self, name: str) -> int:
        return self._of(name).lstat().st_size

    def _of(self, name: str) -> Path:
        return self._path / name if self._path.is_dir() else self._path


class ZipSource:
    """A zip. Each process opens it anew: processes that share a file also share the position.

    If another program replaces the zip meanwhile, all processes still read the old one.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    @property
    def _zip(self) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != os.getpid():
            path = f"/proc/self/fd/{self._file.fileno()}"
            self._opened = os.getpid(), zipfile.ZipFile(path)
        return self._opened[1]

    def names(self) -> list[str]:
        return [info.filename for info in self._zip.infolist() if not info.is_dir()]

    def open(self, name: str) -> IO[bytes]:
        try:
            member = self._zip.getinfo(name)
        except KeyError:  # another zip was written into the same file
            raise LeftOut("was changed while the files were masked") from None
        return open_member(self._zip, member)

    def modified(self, name: str) -> float:
        try:
            return calendar.timegm(self._zip.getinfo(name).date_time)
        except ValueError:  # some programs write zeros, which are a month 0, if they know no date
            return _ZIP_BEGINS

    def size(self, name: str) -> int:
        return self._zip.getinfo(name).file_size

    def close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
        self._file.close()


class TarSource:
    """A tar, which may be packed. It is unpacked into the open file `plain`.

    cut  whether the end of the tar is missing
    """

    def __init__(self, path: Path, plain: IO[bytes]) -> None:
        self._plain = plain
        with tarfile.open(path) as packed:
            assert packed.fileobj is not None
            content = UpToCut(cast(io.BufferedReader, packed.fileobj))
            packed.fileobj.seek(0)
            shutil.copyfileobj(content, self._plain)
        self._plain.flush()
        self.cut = content.cut
        self._opened = os.getpid(), self._tar()
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            for member in self._opened[1]:
                if not member.isdir():
                    self._members[member.name] = member
        except tarfile.ReadError:  # the last member is cut
            self.cut = True

    def names(self) -> list[str]:
        return list(self._members)

    def open(self, name: str) -> IO[bytes]:
        if self._opened[0] != os.getpid():  # see `ZipSource`
            self._opened = os.getpid(), self._tar()
        member = self._members[name]
        # A link is not opened: tarfile raises KeyError if the tar does not have what it leads to.
        file = self._opened[1].extractfile(member) if member.isfile() else None
        if file is None:
            raise LeftOut("is no regular file")
        return file

    def modified(self, name: str) -> float:
        return self._members[name].mtime

    def size(self, name: str) -> int:
        return self._members[name].size

    def close(self) -> None:
        self._opened[1].close()

    def _tar(self) -> tarfile.TarFile:
        return tarfile.TarFile(f"/proc/self/fd/{self._plain.fileno()}")
