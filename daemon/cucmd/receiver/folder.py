"""A target's folder on disk, without a way out of it. Synchronous: for worker threads.

Every component of a path is opened by itself, below the one before it, with O_NOFOLLOW; and nothing
that exists is ever opened for writing. So links, hard links and devices, whoever made them, are
neither followed nor written to.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cucmd.receiver.packets import Attrs
from cucmd.receiver.paths import Parts

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# The service's umask is applied to these; logs are for the service and its group.
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640

# Entries of a listing; the rest is left out. So a folder of 50,000 files costs a few hundred KB.
_LISTED = 5_000


class TargetFolder:
    """One folder, open from the first use until `close`. Raises OSError throughout."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._root = -1

    def open(self) -> None:
        """Makes the folder if there is none. Links above it are the administrator's."""
        self._path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self._root = os.open(self._path, _DIRECTORY)

    def close(self) -> None:
        root, self._root = self._root, -1
        if root >= 0:
            os.close(root)

    def create_file(self, parts: Parts) -> int:
        """A descriptor of a new file, for writing and for reading it back to hash it.

        FileExistsError where there is anything at all under that name.
        """
        with self._parent(parts) as parent:
            return os.open(parts[-1], _NEW_FILE, _FILE_MODE, dir_fd=parent)

    def make_directory(self, parts: Parts) -> None:
        with self._parent(parts) as parent:
            os.mkdir(parts[-1], _FOLDER_MODE, dir_fd=parent)
            os.fsync(parent)

    def sync_directory(self, parts: Parts) -> None:
        """The names in it are on the disk when this returns."""
        with self._directory(parts) as directory:
            os.fsync(directory)

    def look(self, parts: Parts) -> Attrs:
        """Of a file or folder; for anything else FileNotFoundError."""
        if not parts:
            return _attrs(os.fstat(self._root))
        with self._parent(parts) as parent:
            found = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        if not _plain(found):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return _attrs(found)

    def set_times(self, parts: Parts, times: tuple[int, int]) -> None:
        """Of what `look` has found: a folder, or a file that is closed already."""
        if parts:
            with self._parent(parts) as parent:
                os.utime(parts[-1], times, dir_fd=parent, follow_symlinks=False)

    def entries(self, parts: Parts) -> list[tuple[bytes, Attrs]]:
        """Names and attributes of files and folders, links and the rest left out."""
        found = []
        with self._directory(parts) as directory, os.scandir(directory) as scan:
            for entry in scan:
                status = entry.stat(follow_symlinks=False)
                if _plain(status):
                    found.append((os.fsencode(entry.name), _attrs(status)))
                if len(found) == _LISTED:
                    break
        return sorted(found)

    def descriptor(self) -> int:
        return self._root

    @contextmanager
    def _parent(self, parts: Parts) -> Iterator[int]:
        if not parts:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with self._directory(parts[:-1]) as parent:
            yield parent

    @contextmanager
    def _directory(self, parts: Parts) -> Iterator[int]:
        """A descriptor of the folder. O_NOFOLLOW makes a link ELOOP or ENOTDIR."""
        here = os.open(".", _DIRECTORY, dir_fd=self._root)
        try:
            for name in parts:
                below = os.open(name, _DIRECTORY, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)


def attributes_of(descriptor: int) -> Attrs:
    return _attrs(os.fstat(descriptor))


def _plain(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def _attrs(status: os.stat_result) -> Attrs:
    # 32 bits each on the wire; a time beyond 2106 or before 1970 is cut, not an error.
    atime, mtime = (min(max(int(t), 0), 0xFFFFFFFF) for t in (status.st_atime, status.st_mtime))
    return Attrs(status.st_size, status.st_mode, atime, mtime)
