"""Writes, counts, hashes and closes one file that arrives.

A file counts as closed only if the client closed it and everything before that worked, the fsync
included. If anything else ends it, it stays on disk and does not count as closed.

The life of a file, each step a request of the client:

    open    the daemon has made the file and lists it
    write   refused unless it follows what came before: a node's client writes a file from its
            beginning to its end (vos/NODES.md, section 5.5). The bytes are counted against the
            quota, and the disk must have room for them; then they are written and hashed
    close   `finish`: fsync of the file, then of its folder; the daemon is told; only then is the
            client answered

A write that failed marks the upload as failed: every later write is refused, and `finish` refuses
the close. A session that ends with the file open calls `abandon`; a process that is killed leaves
the file to the daemon, which measures it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from cucmd.failure import FULL_DISK, Code
from cucmd.receiver.daemon_client import DaemonClient
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, RequestRefused, Status

# How many bytes come before the kernel is asked to write them to the disk. Without that a file of
# 5 GB would leave it gigabytes to write at the close, while the node waits for the answer.
_WRITE_BACK = 32 * MIB

_IN_ORDER = "the node's SFTP client must write a file from its beginning to its end"


class Upload:
    """Writes one file, and owns its descriptor.

    number: by which the daemon knows the file. sync_name: makes the file's name durable, as fsync
    does its bytes.
    """

    def __init__(
        self,
        descriptor: int,
        number: int,
        daemon: DaemonClient,
        space: FreeSpace,
        sync_name: Callable[[], None],
    ) -> None:
        self.descriptor = descriptor
        self.number = number
        self._daemon = daemon
        self._space = space
        self._sync_name = sync_name
        self._size = 0
        self._hash = hashlib.sha256()
        self._written_back = 0  # bytes whose write-back was begun
        self._failed = False

    def write(self, offset: int, block: memoryview) -> None:
        """Raises RequestRefused; after that the upload has failed and takes nothing more."""
        try:
            self._check_block(offset, len(block))
            while block:
                written = os.pwrite(self.descriptor, block, self._size)
                self._count_written(block[:written])
                block = block[written:]
        except OSError as error:
            raise self._fail_with(error) from error
        except BaseException:
            self._failed = True
            raise

    def finish(self) -> None:
        """Closes the file for its client: it is durable on return.

        Raises RequestRefused if a write has failed, and OSError if the last close fails.
        """
        try:
            if not self._failed:
                os.fsync(self.descriptor)
                self._sync_name()
        except OSError as error:
            raise self._fail_with(error) from error
        except BaseException:
            self._failed = True
            raise
        finally:
            self._end()
        if self._failed:
            self._daemon.check_accepting()
            raise RequestRefused(Status.FAILURE, "the file did not arrive whole")

    def abandon(self) -> None:
        """Closes a file that its client has left open, also where it raises OSError."""
        self._failed = True
        self._end()

    def _end(self) -> None:
        try:
            os.close(self.descriptor)
        except OSError:
            # The descriptor is closed nevertheless. A network file system reports only here what
            # it could not write.
            self._failed = True
            raise
        finally:
            digest = self._hash.hexdigest()  # of what came
            self._daemon.report_closed(self.number, self._size, digest, closed=not self._failed)

    def _check_block(self, offset: int, count: int) -> None:
        come = self._size
        if self._failed:
            raise RequestRefused(Status.FAILURE, "an earlier write of this file has failed")
        if count and offset != come:
            said = f"a file came out of order: a block at {offset}, when {come} bytes had come"
            raise self._daemon.stop_uploads(Code.QUOTA_EXCEEDED, said, _IN_ORDER)
        self._daemon.reserve_bytes(count)
        if shortage := self._space.shortage(self.descriptor, count):
            raise self._daemon.stop_uploads(Code.DISK_FULL, shortage)

    def _count_written(self, block: memoryview) -> None:
        """Counts bytes that were written, which may be part of a block where the disk is full."""
        self._daemon.count_bytes(len(block))
        self._size += len(block)
        self._hash.update(block)
        count = self._size - self._written_back
        if count >= _WRITE_BACK:  # the kernel is asked to write them to the disk, without a wait
            os.posix_fadvise(self.descriptor, self._written_back, count, os.POSIX_FADV_DONTNEED)
            self._written_back = self._size

    def _fail_with(self, error: OSError) -> RequestRefused:
        self._failed = True
        reason = error.strerror or str(error)
        if error.errno in FULL_DISK:
            return self._daemon.stop_uploads(Code.DISK_FULL, f"the disk took no more: {reason}")
        self._daemon.log_once("the receiver's disk", reason)
        return RequestRefused(Status.FAILURE, reason)
