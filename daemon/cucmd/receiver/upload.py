"""Writes, counts, hashes and closes one file that arrives. Synchronous, as requests.py is.

A file counts as closed only if the client closed it and everything before that worked, the fsync
included. If anything else ends it, it stays on disk and does not count as closed.

The life of a file, each step a request of the client:

    open    the folder has made the file; `Accounting.begin` lists it
    write   refused unless it follows what came before: a node's client writes a file from its
            beginning to its end (vos/NODES.md, section 5.5). The bytes are counted against the
            quota, and the disk must have room for them; then they are written and hashed
    close   `finish`: fsync of the file, then of its folder; `Accounting.end`; only then is the
            client answered

A write that failed marks the upload as failed: every later write is refused, and `finish` refuses
the close. A session that ends, or a login that is revoked, with the file open: `abandon`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from cucmd.failure import FULL_DISK, Code
from cucmd.receiver.accounting import Accounting, ArrivingFile
from cucmd.receiver.folder import attributes_of
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, RequestRefused, Status
from cucmd.receiver.packets import Attrs

# How many bytes come before the kernel is asked to write them to the disk. Without that a file of
# 5 GB would leave it gigabytes to write at the close, while the node waits for the answer.
_WRITE_BACK = 32 * MIB

_IN_ORDER = "the node's SFTP client must write a file from its beginning to its end"


class Upload:
    """Is an open handle. Owns the descriptor from the moment it is made.

    `sync_name`: makes the file's name durable, as fsync does its bytes.
    """

    def __init__(
        self,
        descriptor: int,
        file: ArrivingFile,
        accounting: Accounting,
        space: FreeSpace,
        sync_name: Callable[[], None],
    ) -> None:
        self._descriptor = descriptor
        self._file = file
        self._accounting = accounting
        self._space = space
        self._sync_name = sync_name
        self._hash = hashlib.sha256()
        self._written_back = 0  # bytes whose write-back was begun
        self._failed = False

    def write(self, offset: int, block: memoryview) -> None:
        """Raises RequestRefused; after that the upload has failed and takes nothing more."""
        try:
            self._admit(offset, len(block))
            self._write_all(block)
        except BaseException:
            self._failed = True
            raise

    def attributes(self) -> Attrs:
        return attributes_of(self._descriptor)

    def note_modified(self, seconds: int) -> None:
        self._accounting.stamp(self._file, seconds)

    def finish(self) -> None:
        """The client closes the file: it is durable on return.

        Raises RequestRefused if a write has failed, and OSError if the last close fails.
        """
        try:
            if not self._failed:
                os.fsync(self._descriptor)
                self._sync_name()
        except OSError as error:
            raise self._refused(error) from error
        finally:
            closed = self._end()
        if not closed:
            self._accounting.check_open()
            raise RequestRefused(Status.FAILURE, "the file did not arrive whole")

    def abandon(self) -> None:
        """The session ended with the file open. Closes it, also where it raises OSError."""
        self._failed = True
        self._end()

    def _end(self) -> bool:
        try:
            os.close(self._descriptor)
        except OSError:
            # The descriptor is closed nevertheless. A network file system reports only here what
            # it could not write.
            self._failed = True
            raise
        finally:
            digest = self._hash.hexdigest()  # of what came
            closed = self._accounting.end(self._file, digest, closed=not self._failed)
        return closed

    def _admit(self, offset: int, count: int) -> None:
        if self._failed:
            raise RequestRefused(Status.FAILURE, "an earlier write of this file has failed")
        come = self._file.size
        if count and offset != come:
            said = f"a file came out of order: a block at {offset}, when {come} bytes had come"
            raise self._accounting.refuse(Code.QUOTA_EXCEEDED, said, _IN_ORDER)
        self._accounting.take_bytes(count)
        shortage = self._space.shortage(self._descriptor, count)
        if shortage:
            raise self._accounting.refuse(Code.DISK_FULL, shortage)

    def _write_all(self, block: memoryview) -> None:
        try:
            while block:
                written = os.pwrite(self._descriptor, block, self._file.size)
                self._account(block[:written])
                block = block[written:]
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> RequestRefused:
        self._failed = True
        reason = error.strerror or str(error)
        if error.errno in FULL_DISK:
            return self._accounting.refuse(Code.DISK_FULL, f"the disk took no more: {reason}")
        self._accounting.say("the receiver's disk", reason)
        return RequestRefused(Status.FAILURE, reason)

    def _account(self, block: memoryview) -> None:
        """Counts bytes that are written: part of a block, where the disk took no more."""
        self._accounting.count_bytes(len(block))
        self._file.size += len(block)
        self._hash.update(block)
        self._start_write_back()

    def _start_write_back(self) -> None:
        """Asks the kernel to write to the disk what came since the last time; does not wait."""
        count = self._file.size - self._written_back
        if count >= _WRITE_BACK:
            os.posix_fadvise(self._descriptor, self._written_back, count, os.POSIX_FADV_DONTNEED)
            self._written_back = self._file.size
