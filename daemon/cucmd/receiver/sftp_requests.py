"""Answers SFTP requests, one at a time.

Only the requests of an OpenSSH `put` have an effect: make a directory, create a file, write it,
close it, and list and stat in the login's own folder. All others are refused. The times that a
client sets are recorded and not set on the disk: `worker/seccomp.py` forbids the process to set
times, because it could then set those of any file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial

from cucmd.failure import FULL_DISK, Code
from cucmd.receiver.client_paths import Parts, canonical_path, split_path, with_number
from cucmd.receiver.daemon_client import DaemonClient
from cucmd.receiver.folder import TargetFolder, attributes_of
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import ReceiverLimits, RequestRefused, Status
from cucmd.receiver.sftp_packets import (
    LIMITS,
    Attrs,
    Fields,
    Malformed,
    OpenFlag,
    PacketType,
    attrs_reply,
    handle_of,
    handle_reply,
    limits_reply,
    name_reply,
    status_reply,
    version_reply,
)
from cucmd.receiver.upload import Upload

# The most files of one name in one target, since each new file tries all names from .2 on.
_MAX_SAME_NAME = 100

_NAMES_A_REPLY = 100  # like OpenSSH's server

_NEW_FILE_FLAGS = OpenFlag.TRUNCATE | OpenFlag.EXCLUSIVE

AnswerRequest = Callable[["RequestHandler", int, Fields], bytes]

# The entries of an open folder that READDIR has not returned yet.
Listing = list[tuple[bytes, Attrs]]


class RequestHandler:
    """Answers the requests of the one SFTP session of a login."""

    def __init__(self, daemon: DaemonClient, space: FreeSpace, limits: ReceiverLimits) -> None:
        self._daemon = daemon
        self._folder = TargetFolder(lambda what, path: daemon.open(what, path)[0])
        self._space = space
        self._limits = limits
        self._initialised = False
        self._handles: dict[int, Upload | Listing] = {}
        self._next_handle = 0
        # For each path of the client, the number of the last file and its path on the disk.
        self._last_files: dict[str, tuple[int, Parts]] = {}

    def answer(self, packet: memoryview) -> bytes:
        """Returns the reply to a request. Raises Malformed or OSError to end the session."""
        fields = Fields(packet)
        kind = fields.byte()
        if not self._initialised:
            return self._initialise(kind)
        request = fields.uint32()
        try:
            if (answer := _ANSWERS.get(kind)) is not None:
                return answer(self, request, fields)
            refusal = _REFUSALS.get(kind, (Status.UNSUPPORTED, "not supported here"))
            return status_reply(request, *refusal)
        except RequestRefused as refused:
            return status_reply(request, refused.status, refused.reason)
        except Malformed as malformed:
            return status_reply(request, Status.BAD_MESSAGE, str(malformed))
        except OSError as error:
            self._report_error(error)
            status = _CLIENT_ERRORS.get(error.errno or 0, Status.FAILURE)
            return status_reply(request, status, _reason(error))

    def close(self) -> None:
        """Closes all open files, which stay incomplete, and all folders. May be repeated."""
        uploads = [opened for opened in self._handles.values() if isinstance(opened, Upload)]
        self._handles.clear()
        for close in (*(opened.abandon for opened in uploads), self._folder.close):
            try:
                close()
            except OSError as error:  # go on and close the others
                self._report_error(error)

    def _initialise(self, kind: int) -> bytes:
        if kind != PacketType.INIT:
            raise Malformed("the first packet is not INIT")
        try:
            self._folder.descriptor()  # makes the folder if there is none
        except OSError as error:
            self._report_error(error)
            raise
        self._initialised = True
        return version_reply()

    def _report_error(self, error: OSError) -> None:
        """Reports a full disk to the daemon, and logs any other error that no client can cause."""
        if error.errno in FULL_DISK:
            self._daemon.stop_uploads(Code.DISK_FULL, f"the disk is full: {_reason(error)}")
        elif error.errno not in _CLIENT_ERRORS:
            self._daemon.log_once("error of the receiver's disk", _reason(error))

    # Handles.

    def _check_handles(self) -> None:
        if len(self._handles) >= self._limits.handles:
            reason = f"more than {self._limits.handles} handles are open at once"
            raise RequestRefused(Status.FAILURE, reason)

    def _add_handle(self, opened: Upload | Listing) -> int:
        # Numbers are not used again soon. A late request for a handle that was closed is then
        # refused, and does not write into another file.
        self._next_handle = (self._next_handle + 1) & 0x7FFFFFFF
        self._handles[self._next_handle] = opened
        return self._next_handle

    def _upload(self, fields: Fields) -> Upload:
        opened = self._handles.get(handle_of(fields.string()))
        if not isinstance(opened, Upload):
            raise RequestRefused(Status.FAILURE, "no such handle of a file")
        return opened

    def _path(self, fields: Fields) -> Parts:
        return split_path(fields.string(), self._limits)

    # Answers to each kind of request, in the order of the protocol's numbers.

    def _open(self, request: int, fields: Fields) -> bytes:
        parts = self._path(fields)
        flags = fields.uint32()
        wanted = OpenFlag.WRITE | OpenFlag.CREATE
        if flags & wanted != wanted or flags & OpenFlag.APPEND:
            raise RequestRefused(
                Status.PERMISSION_DENIED, "a file can only be created and written here"
            )
        self._check_handles()
        # Without TRUNCATE, or with EXCLUSIVE, the client needs exactly this name. It may want to
        # resume a file, and a file with a number would then lack the beginning.
        names = _MAX_SAME_NAME if flags & _NEW_FILE_FLAGS == OpenFlag.TRUNCATE else 1
        upload = self._create(parts, names)
        handle = self._add_handle(upload)
        try:
            times = fields.attributes().times
        except Malformed:
            times = None  # we use only the times, so malformed attributes do no harm
        if times:
            self._daemon.report_time(upload.number, times[1])
        return handle_reply(request, handle)

    def _create(self, parts: Parts, names: int) -> Upload:
        """Creates a file under this name or, if it exists, under `name.2`, `name.3`, and so on.

        names: how many of these names are tried. An existing file is never overwritten.
        """
        if not parts:
            raise RequestRefused(Status.FAILURE, "the path is the folder itself")
        if shortage := self._space.current_shortage(self._folder.descriptor()):
            raise self._daemon.stop_uploads(Code.DISK_FULL, shortage)
        for number in range(1, names + 1):
            stored = (*parts[:-1], with_number(parts[-1], number))
            try:
                descriptor, file = self._daemon.open("new file", "/".join(stored))
            except FileExistsError:
                continue
            assert file is not None
            self._last_files["/".join(parts)] = file, stored
            sync_name = partial(self._folder.sync_directory, parts[:-1])
            return Upload(descriptor, file, self._daemon, self._space, sync_name)
        raise RequestRefused(Status.FAILURE, "a file of that name exists")

    def _close(self, request: int, fields: Fields) -> bytes:
        opened = self._handles.pop(handle_of(fields.string()), None)
        if opened is None:
            raise RequestRefused(Status.FAILURE, "no such handle")
        if isinstance(opened, Upload):
            opened.finish()
        return status_reply(request, Status.OK)

    def _write(self, request: int, fields: Fields) -> bytes:
        upload = self._upload(fields)
        upload.write(fields.uint64(), fields.block())
        return status_reply(request, Status.OK)

    def _stat(self, request: int, fields: Fields) -> bytes:
        parts = self._path(fields)
        # A client that asks for the file that it has just sent gets that file, even if we have
        # stored it under `name.2`.
        _, stored = self._last_files.get("/".join(parts), (None, parts))
        return attrs_reply(request, self._folder.stat(stored))

    def _fstat(self, request: int, fields: Fields) -> bytes:
        return attrs_reply(request, attributes_of(self._upload(fields).descriptor))

    def _setstat(self, request: int, fields: Fields) -> bytes:
        parts = self._path(fields)
        wanted = fields.attributes()
        number, stored = self._last_files.get("/".join(parts), (None, parts))
        _check_size(wanted.size, self._folder.stat(stored).size)
        if wanted.times and number is not None:
            self._daemon.report_time(number, wanted.times[1])
        return status_reply(request, Status.OK)

    def _fsetstat(self, request: int, fields: Fields) -> bytes:
        upload = self._upload(fields)
        wanted = fields.attributes()
        _check_size(wanted.size, os.fstat(upload.descriptor).st_size)
        if wanted.times:
            self._daemon.report_time(upload.number, wanted.times[1])
        return status_reply(request, Status.OK)

    def _opendir(self, request: int, fields: Fields) -> bytes:
        parts = self._path(fields)
        self._check_handles()
        listings = sum(isinstance(opened, list) for opened in self._handles.values())
        if listings >= self._limits.listings:
            reason = f"more than {self._limits.listings} folders are open at once"
            raise RequestRefused(Status.FAILURE, reason)
        return handle_reply(request, self._add_handle(self._folder.entries(parts)))

    def _readdir(self, request: int, fields: Fields) -> bytes:
        listing = self._handles.get(handle_of(fields.string()))
        if not isinstance(listing, list):
            raise RequestRefused(Status.FAILURE, "no such handle of a directory")
        if not listing:
            return status_reply(request, Status.EOF)
        names = listing[:_NAMES_A_REPLY]
        del listing[:_NAMES_A_REPLY]
        return name_reply(request, names)

    def _mkdir(self, request: int, fields: Fields) -> bytes:
        self._folder.make_directory(self._path(fields))
        return status_reply(request, Status.OK)

    def _realpath(self, request: int, fields: Fields) -> bytes:
        return name_reply(request, [(canonical_path(self._path(fields)), None)])

    def _extended(self, request: int, fields: Fields) -> bytes:
        if fields.string() != LIMITS:
            raise RequestRefused(Status.UNSUPPORTED, "not supported here")
        return limits_reply(request, self._limits.handles)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "failed"


def _check_size(wanted: int | None, size: int) -> None:
    if wanted is not None and wanted != size:
        raise RequestRefused(Status.PERMISSION_DENIED, "a size cannot be set here")


_ANSWERS: dict[int, AnswerRequest] = {
    PacketType.OPEN: RequestHandler._open,
    PacketType.CLOSE: RequestHandler._close,
    PacketType.WRITE: RequestHandler._write,
    PacketType.LSTAT: RequestHandler._stat,
    PacketType.FSTAT: RequestHandler._fstat,
    PacketType.SETSTAT: RequestHandler._setstat,
    PacketType.FSETSTAT: RequestHandler._fsetstat,
    PacketType.OPENDIR: RequestHandler._opendir,
    PacketType.READDIR: RequestHandler._readdir,
    PacketType.MKDIR: RequestHandler._mkdir,
    PacketType.REALPATH: RequestHandler._realpath,
    PacketType.STAT: RequestHandler._stat,
    PacketType.EXTENDED: RequestHandler._extended,
}

# Requests that would read, remove, rename or make links.
_REFUSALS: dict[int, tuple[Status, str]] = {
    PacketType.READ: (Status.PERMISSION_DENIED, "files cannot be read here"),
    PacketType.REMOVE: (Status.PERMISSION_DENIED, "files cannot be removed here"),
    PacketType.RMDIR: (Status.PERMISSION_DENIED, "directories cannot be removed here"),
    PacketType.RENAME: (Status.PERMISSION_DENIED, "nothing can be renamed here"),
    PacketType.READLINK: (Status.PERMISSION_DENIED, "there are no links here"),
    PacketType.SYMLINK: (Status.PERMISSION_DENIED, "links cannot be made here"),
}

# Errors that a client can cause, and their status. Version 3 of the protocol has no status for most
# of them. OpenSSH's `put -r` goes on after FAILURE for a directory that exists.
_CLIENT_ERRORS: dict[int, Status] = {
    errno.ENOENT: Status.NO_SUCH_FILE,
    errno.EACCES: Status.PERMISSION_DENIED,
    errno.EPERM: Status.PERMISSION_DENIED,
    errno.ENOTDIR: Status.FAILURE,
    errno.ELOOP: Status.FAILURE,
    errno.EEXIST: Status.FAILURE,
    errno.EISDIR: Status.FAILURE,
    errno.ECANCELED: Status.FAILURE,
    errno.ENAMETOOLONG: Status.FAILURE,
}
