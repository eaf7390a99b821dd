"""Reads the files that are masked, from a folder or an archive."""

from __future__ import annotations

import calendar
import os
import zipfile
from pathlib import Path
from typing import IO, Protocol

from cucmctl.mask.content import LeftOut


class Source(Protocol):
    """Has files, by name."""

    def names(self) -> list[str]: ...
    def open(self, name: str) -> IO[bytes]: ...
    def modified(self, name: str) -> int: ...
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
        if file.is_symlink() or not file.is_file():
            raise LeftOut("is no regular file")
        return file.open("rb")

    def modified(self, name: str) -> int:
        return int(self._of(name).lstat().st_mtime)

    def size(self, name: str) -> int:
        return self._of(name).lstat().st_size

    def _of(self, name: str) -> Path:
        return self._path if self._path.is_file() else self._path / name


class ZipSource:
    """A zip. Each process opens it for itself, because they would share the position."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    @property
    def _zip(self) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), zipfile.ZipFile(self._path)
        return self._opened[1]

    def names(self) -> list[str]:
        return [info.filename for info in self._zip.infolist() if not info.is_dir()]

    def open(self, name: str) -> IO[bytes]:
        try:
            return self._zip.open(name)
        except RuntimeError as error:  # encrypted, or packed in an unknown way
            raise LeftOut(str(error)) from None

    def modified(self, name: str) -> int:
        return calendar.timegm(self._zip.getinfo(name).date_time)

    def size(self, name: str) -> int:
        return self._zip.getinfo(name).file_size
