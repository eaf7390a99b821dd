"""Opens what is in a target's folder on disk, and gives no way out of it. Synchronous: for threads.

A process that receives can open nothing (`worker/confine.py`): the daemon makes and opens for it
what its logins may have, and hands over the descriptors. So all that it can do to a file of another
login, or to one that was there before, is to see its name.

Every component of a path is opened by itself, below the one before it, with O_NOFOLLOW; and nothing
that exists is ever opened for writing. So links, hard links and devices, whoever made them, are
neither followed nor written to.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from cucmd.receiver.limits import ReceiverLimits, RequestRefused
from cucmd.receiver.packets import Attrs
from cucmd.receiver.paths import Parts, stored_parts
from cucmd.worker.frames import MOST_PACKET, Open, What, WrongFrame, decoded

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# The service's umask is applied to these; logs are for the service and its group.
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640

# Entries of a listing; the rest is left out. So a folder of 50,000 files costs a few hundred KB.
_LISTED = 5_000

_ASKED = msgspec.msgpack.Decoder(Open)


# In the daemon.


def open_for(
    process: socket.socket, opened: Callable[[Open, Parts], int], limits: ReceiverLimits
) -> None:
    """Answers what a process asks by its socket, until that has ended. In a thread of its own, so
    that a disk that hangs keeps nobody else waiting.

    opened: the descriptor; raises OSError. Raises `WrongFrame`, as that may, for what no process
    asks.
    """
    with process, suppress(ConnectionError):  # it has ended
        while content := process.recv(MOST_PACKET):
            asked = decoded(_ASKED, content)
            try:
                parts = stored_parts(asked.path, limits)
            except RequestRefused as error:
                raise WrongFrame("a path is wrong") from error
            try:
                descriptor = opened(asked, parts)
            except OSError as error:
                process.send((error.errno or errno.EIO).to_bytes(4))
                continue
            try:
                socket.send_fds(process, [bytes(4)], [descriptor])
            finally:
                os.close(descriptor)


def open_in(folder: Path, what: What, parts: Parts) -> int:
    """Returns a descriptor: see `Open`. That of a new file is for writing.

    Raises OSError; FileExistsError where there is anything at all under the name of what is new.
    Links above the folder are the administrator's.
    """
    if not parts and what == "folder":
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    elif not parts:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    here = os.open(folder, _DIRECTORY)
    try:
        for name in parts if what == "folder" else parts[:-1]:
            below = os.open(name, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        if what == "folder":
            return os.dup(here)
        if what == "new file":
            return os.open(parts[-1], _NEW_FILE, _FILE_MODE, dir_fd=here)
        os.mkdir(parts[-1], _FOLDER_MODE, dir_fd=here)
        return os.open(parts[-1], _DIRECTORY, dir_fd=here)
    finally:
        os.close(here)


# In a process that receives.


class TargetFolder:
    """Has one folder open, from the first use until `close`. Raises OSError throughout.

    ask: for a descriptor of what `Open` says, by what and path.
    """

    def __init__(self, ask: Callable[[What, str], int]) -> None:
        self._ask = ask
        self._open: dict[Parts, int] = {}  # the folder itself, and the last one below it

    def open(self) -> None:
        """Makes the folder if there is none."""
        self._directory(())

    def close(self) -> None:
        kept, self._open = self._open, {}
        for one in kept.values():
            os.close(one)

    def create_file(self, parts: Parts) -> int:
        """Returns a descriptor of a new file, for writing.

        Raises FileExistsError where there is anything at all under that name.
        """
        return self._ask("new file", "/".join(parts))

    def make_directory(self, parts: Parts) -> None:
        os.close(self._ask("new folder", "/".join(parts)))
        self.sync_directory(parts[:-1])

    def sync_directory(self, parts: Parts) -> None:
        """The names in it are on the disk when this returns."""
        os.fsync(self._directory(parts))

    def look(self, parts: Parts) -> Attrs:
        """Returns the attributes of a file or folder. Raises FileNotFoundError for all else."""
        if not parts:
            return _attrs(os.fstat(self.descriptor()))
        found = os.stat(parts[-1], dir_fd=self._directory(parts[:-1]), follow_symlinks=False)
        if not _plain(found):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return _attrs(found)

    def entries(self, parts: Parts) -> list[tuple[bytes, Attrs]]:
        """Lists names and attributes of files and folders, links and the rest left out."""
        found = []
        with os.scandir(self._directory(parts)) as scan:
            for entry in scan:
                status = entry.stat(follow_symlinks=False)
                if _plain(status):
                    found.append((os.fsencode(entry.name), _attrs(status)))
                if len(found) == _LISTED:
                    break
        return sorted(found)

    def descriptor(self) -> int:
        return self._directory(())

    def _directory(self, parts: Parts) -> int:
        """Opens the folder, and keeps its descriptor until another one is used."""
        if parts not in self._open:
            opened = self._ask("folder", "/".join(parts))
            for one in [one for one in self._open if one]:
                os.close(self._open.pop(one))
            self._open[parts] = opened
        return self._open[parts]


def attributes_of(descriptor: int) -> Attrs:
    return _attrs(os.fstat(descriptor))


def _plain(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def _attrs(status: os.stat_result) -> Attrs:
    # 32 bits each on the wire; a time beyond 2106 or before 1970 is cut, not an error.
    atime, mtime = (min(max(int(t), 0), 0xFFFFFFFF) for t in (status.st_atime, status.st_mtime))
    return Attrs(status.st_size, status.st_mode, atime, mtime)
