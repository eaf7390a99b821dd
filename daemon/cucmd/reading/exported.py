"""Sends files of a job as a tar to whoever exports it, or compares them with their checksums.

An export is written to the connection of the client itself, which the daemon gives to this process
once it has replied. The daemon makes everything but the content of the files, from its record, and
sends it a page at a time, when this process asks for it; the kernel copies the content from the
files to the connection (`sendfile`). How fast the client has to read is for the daemon to say,
which is told what has gone out, and kills this process.

The client compares the checksums of an export. Here only what costs nothing is noticed: that a file
is gone, that it has another size, or that the disk fails.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import stat
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from cucmd.received_file import GONE, NOT_REGULAR, OTHER_CHECKSUM, other_size
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.frames import (
    CheckFiles,
    ExportDamaged,
    ExportMoved,
    ExportPart,
    ExportParts,
    FileChecked,
)

# Bytes that are read and sent together. A larger file goes from the disk to the connection.
_TOGETHER = 128 * 1024
_AT_ONCE = 1024 * 1024
# Seconds after which the daemon is told how many bytes have gone out.
_TOLD_EVERY = 1.0
# To open a FIFO in place of a file does not wait for somebody who writes into it.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_PARTS = msgspec.msgpack.Decoder(ExportParts)
_FILES = msgspec.msgpack.Decoder(CheckFiles)


def send_tar(channel: Channel) -> None:
    """Runs as the process of one export."""
    tar = _TarWriter(channel, channel.receive_descriptor())
    while True:
        tar.flush()
        channel.send(ExportMoved(tar.moved, wants=True))
        for part in channel.receive(_PARTS).parts:
            try:
                tar.send(part)
            except _NotAsReceived as error:
                channel.send(ExportDamaged(part.path, str(error)))
                raise DaemonGone from error


def check_files(channel: Channel) -> None:
    """Runs as a process that compares files with their checksums."""
    while True:
        for file in channel.receive(_FILES).files:
            digest = hashlib.sha256()
            try:
                with _opened(file.path, file.size) as opened:
                    began = time.monotonic()
                    while piece := os.read(opened, _AT_ONCE):
                        digest.update(piece)
                        time.sleep(time.monotonic() - began)  # others go first
                        began = time.monotonic()
                    # What was read only to be checked need not keep other files out of memory.
                    with suppress(OSError):
                        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
            except _NotAsReceived as error:
                channel.send(FileChecked(str(error)))
                continue
            same = digest.hexdigest() == file.sha256
            channel.send(FileChecked(None if same else OTHER_CHECKSUM))


class _NotAsReceived(Exception):
    """A file is gone, differs from what was received, or cannot be read. The text says which."""


class _TarWriter:
    """Sends to the client, whose connection does not block: its flags are the daemon's too."""

    def __init__(self, channel: Channel, descriptor: int) -> None:
        self.moved = 0
        self._channel = channel
        self._descriptor = descriptor
        self._held = bytearray()
        self._told, self._told_at = 0, 0.0
        self._writable = select.poll()
        self._writable.register(descriptor, select.POLLOUT)

    def send(self, part: ExportPart) -> None:
        self._held += part.head
        if part.path:
            with _opened(part.path, part.size) as file:
                self._send_file(file, part.size)
            self._held += bytes(-part.size % tarfile.BLOCKSIZE)

    def flush(self) -> None:
        view = memoryview(bytes(self._held))
        self._held.clear()
        while view:
            with self._moving():
                sent = os.write(self._descriptor, view)
                self.moved += sent
                view = view[sent:]

    def _send_file(self, file: int, size: int) -> None:
        if len(self._held) + size > _TOGETHER:
            self.flush()
        if size <= _TOGETHER:
            while size:
                self._held += (piece := os.read(file, size))
                size -= len(piece)
                if not piece:
                    raise _NotAsReceived("was cut while it was read")
            return
        offset = 0
        while offset < size:
            with self._moving():
                sent = os.sendfile(self._descriptor, file, offset, min(size - offset, _AT_ONCE))
                if not sent:
                    raise _NotAsReceived("was cut while it was read")
                self.moved += sent
                offset += sent

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Tells the daemon how many bytes have gone out, and waits where the client has to read
        first. Raises `DaemonGone` where the client has gone: nothing is left to be done.
        """
        try:
            yield
        except BlockingIOError:
            self._writable.poll(1000 * _TOLD_EVERY)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise DaemonGone from error
        now = time.monotonic()
        if self.moved > self._told and now - self._told_at >= _TOLD_EVERY:
            self._told, self._told_at = self.moved, now
            self._channel.send(ExportMoved(self.moved))


@contextmanager
def _opened(path: bytes, size: int) -> Iterator[int]:
    """Opens a file that has that size. Raises `_NotAsReceived`, also for what the body meets."""
    try:
        file = os.open(path, _FLAGS)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise _NotAsReceived(NOT_REGULAR)
            if found.st_size != size:
                raise _NotAsReceived(other_size(found.st_size, size))
            yield file
        finally:
            os.close(file)
    except FileNotFoundError:
        raise _NotAsReceived(GONE) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _NotAsReceived(NOT_REGULAR) from None
        raise _NotAsReceived(f"cannot be read: {error.strerror}") from None
