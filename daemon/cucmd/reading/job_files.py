"""Sends files of a job as a tar to an exporting client, or compares them with their checksums.

An export is written to the connection of the client itself, which the daemon gives to this process
after its reply. The daemon makes the headers and documents of the tar, and sends them a page at a
time when this process asks for them. The kernel copies the content from the files to the connection
(`sendfile`). This process reports how much was sent, and the daemon kills it if the client reads
too slowly.

The client compares the checksums of an export. This process only notices if a file is gone, has
another size, or cannot be read.
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
from cucmd.worker import frames
from cucmd.worker.forked import Channel, DaemonGone

# Files up to this size are collected in memory and sent together. Larger files are sent in pieces.
_SMALL = 128 * 1024
_PIECE = 1024 * 1024
# Seconds between two reports to the daemon of how many bytes were sent.
_REPORT_EVERY = 1.0
# O_NONBLOCK: opening a FIFO in place of a file must not wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_PARTS = msgspec.msgpack.Decoder(frames.ExportParts)
_FILES = msgspec.msgpack.Decoder(frames.CheckFiles)


def send_tar(channel: Channel) -> None:
    """Runs as the process of one export."""
    tar = _TarWriter(channel, channel.receive_descriptor())
    while True:
        tar.flush()
        channel.send(frames.ExportMoved(tar.bytes_sent, wants=True))
        for part in channel.receive(_PARTS).parts:
            try:
                tar.send(part)
            except _FileDamaged as error:
                channel.send(frames.ExportDamaged(part.path, str(error)))
                raise DaemonGone from error


def check_files(channel: Channel) -> None:
    """Runs as a process that compares files with their checksums."""
    while True:
        for file in channel.receive(_FILES).files:
            digest = hashlib.sha256()
            try:
                with _opened(file.path, file.size) as opened:
                    began = time.monotonic()
                    while piece := os.read(opened, _PIECE):
                        digest.update(piece)
                        # Sleep for as long as the work took, so that other work goes first.
                        time.sleep(time.monotonic() - began)
                        began = time.monotonic()
                    # Pages that were read only for this check must not push other files out of
                    # memory.
                    with suppress(OSError):
                        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
            except _FileDamaged as error:
                channel.send(frames.FileChecked(str(error)))
                continue
            same = digest.hexdigest() == file.sha256
            channel.send(frames.FileChecked(None if same else OTHER_CHECKSUM))


class _FileDamaged(Exception):
    """A file is gone, differs from what was received, or cannot be read. The text says which."""


class _TarWriter:
    """Sends a tar to the client. The connection does not block, as the daemon shares its flags."""

    def __init__(self, channel: Channel, descriptor: int) -> None:
        self.bytes_sent = 0
        self._channel = channel
        self._descriptor = descriptor
        self._buffer = bytearray()
        self._reported, self._reported_at = 0, 0.0
        self._writable = select.poll()
        self._writable.register(descriptor, select.POLLOUT)

    def send(self, part: frames.ExportPart) -> None:
        self._buffer += part.head
        if part.path:
            with _opened(part.path, part.size) as file:
                self._send_file(file, part.size)
            self._buffer += bytes(-part.size % tarfile.BLOCKSIZE)

    def flush(self) -> None:
        view = memoryview(bytes(self._buffer))
        self._buffer.clear()
        while view:
            with self._progress():
                sent = os.write(self._descriptor, view)
                self.bytes_sent += sent
                view = view[sent:]

    def _send_file(self, file: int, size: int) -> None:
        if len(self._buffer) + size > _SMALL:
            self.flush()
        if size <= _SMALL:
            while size:
                self._buffer += (piece := os.read(file, size))
                size -= len(piece)
                if not piece:
                    raise _FileDamaged("was cut while it was read")
            return
        offset = 0
        while offset < size:
            with self._progress():
                sent = os.sendfile(self._descriptor, file, offset, min(size - offset, _PIECE))
                if not sent:
                    raise _FileDamaged("was cut while it was read")
                self.bytes_sent += sent
                offset += sent

    @contextmanager
    def _progress(self) -> Iterator[None]:
        """Reports how many bytes were sent, and waits if the client has to read first.

        Raises `DaemonGone`, which ends this process, if the client has closed the connection.
        """
        try:
            yield
        except BlockingIOError:
            self._writable.poll(1000 * _REPORT_EVERY)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise DaemonGone from error
        now = time.monotonic()
        if self.bytes_sent > self._reported and now - self._reported_at >= _REPORT_EVERY:
            self._reported, self._reported_at = self.bytes_sent, now
            self._channel.send(frames.ExportMoved(self.bytes_sent))


@contextmanager
def _opened(path: bytes, size: int) -> Iterator[int]:
    """Opens the file, which must have that size.

    Raises `_FileDamaged`, also for an error of the disk in the body of the context.
    """
    try:
        file = os.open(path, _FLAGS)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise _FileDamaged(NOT_REGULAR)
            if found.st_size != size:
                raise _FileDamaged(other_size(found.st_size, size))
            yield file
        finally:
            os.close(file)
    except FileNotFoundError:
        raise _FileDamaged(GONE) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _FileDamaged(NOT_REGULAR) from None
        raise _FileDamaged(f"cannot be read: {error.strerror}") from None
