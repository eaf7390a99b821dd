"""Opens files and folders in a login's folder, and nothing outside of that folder.

A process that serves a connection can open nothing (`worker/confine.py`). The daemon makes and
opens files and folders for the process, and sends it the descriptors. So the most that the process
can do to a file that existed before is to see its name.

Each name of a path is opened by itself, below the folder before it, with O_NOFOLLOW, and nothing
that exists is opened for writing. So nothing is written through a link, a hard link or a device.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from cucmd.receiver.client_paths import Parts
from cucmd.receiver.messages import OpenKind
from cucmd.receiver.sftp_packets import Attrs

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# The service's umask applies to these modes. Logs are for the service and its group.
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640

# Entries of a listing. Further entries are left out, so that a folder of 50,000 files does not take
# much memory.
_LISTED = 5_000


def open_in(folder: Path, what: OpenKind, parts: Parts) -> int:
    """Opens the file or folder that `Open` describes. Returns its descriptor.

    This runs in the daemon. A new file is open for writing. Raises OSError, such as FileExistsError
    if the name of a new file or folder exists. Links in the path of `folder` itself are followed,
    because the administrator has made them.
    """
    if not parts and what == "folder":
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    elif not parts:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    current = os.open(folder, _DIRECTORY)
    try:
        for name in parts if what == "folder" else parts[:-1]:
            below = os.open(name, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        if what == "folder":
            return os.dup(current)  # `current` itself is closed below
        if what == "new file":
            return os.open(parts[-1], _NEW_FILE, _FILE_MODE, dir_fd=current)
        os.mkdir(parts[-1], _FOLDER_MODE, dir_fd=current)
        return os.open(parts[-1], _DIRECTORY, dir_fd=current)
    finally:
        os.close(current)


class TargetFolder:
    """Reads the folder of a login, in the process of a connection. All methods raise OSError.

    ask: returns a descriptor from the daemon; its arguments are the fields of `Open`.
    """

    def __init__(self, ask: Callable[[OpenKind, str], int]) -> None:
        self._ask = ask
        self._open: dict[Parts, int] = {}  # the folder itself, and one folder below it

    def close(self) -> None:
        descriptors, self._open = self._open, {}
        for descriptor in descriptors.values():
            os.close(descriptor)

    def make_directory(self, parts: Parts) -> None:
        os.close(self._ask("new folder", "/".join(parts)))
        self.sync_directory(parts[:-1])

    def sync_directory(self, parts: Parts) -> None:
        """Makes the names in this folder durable."""
        os.fsync(self.descriptor(parts))

    def stat(self, parts: Parts) -> Attrs:
        """Returns the attributes of a file or folder. Raises FileNotFoundError otherwise."""
        if not parts:
            return attributes_of(self.descriptor())
        found = os.stat(parts[-1], dir_fd=self.descriptor(parts[:-1]), follow_symlinks=False)
        if not _plain(found):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return _attrs(found)

    def entries(self, parts: Parts) -> list[tuple[bytes, Attrs]]:
        """Returns the names and attributes of files and folders, without links and devices."""
        found = []
        with os.scandir(self.descriptor(parts)) as scan:
            for entry in scan:
                status = entry.stat(follow_symlinks=False)
                if _plain(status):
                    found.append((os.fsencode(entry.name), _attrs(status)))
                if len(found) == _LISTED:
                    break
        return sorted(found)

    def descriptor(self, parts: Parts = ()) -> int:
        """Returns a descriptor of a folder in the login's folder. () is the login's folder itself.

        The descriptor stays open until another folder is used. The login's folder is made if it
        does not exist, and its descriptor stays open to the end.
        """
        if parts not in self._open:
            opened = self._ask("folder", "/".join(parts))
            for other in [other for other in self._open if other]:
                os.close(self._open.pop(other))
            self._open[parts] = opened
        return self._open[parts]


def attributes_of(descriptor: int) -> Attrs:
    return _attrs(os.fstat(descriptor))


def _plain(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def _attrs(status: os.stat_result) -> Attrs:
    # The protocol has 32 bits for a time. A time after 2106 or before 1970 becomes the nearest one.
    atime, mtime = (min(max(int(t), 0), 0xFFFFFFFF) for t in (status.st_atime, status.st_mtime))
    return Attrs(status.st_size, status.st_mode, atime, mtime)
