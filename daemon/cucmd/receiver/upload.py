"""Writes, counts, hashes and closes one file that arrives.

A file counts as closed only if the client has closed it and every write and fsync has worked.
Otherwise the file stays on disk, incomplete. Each step is a request of the client:

    open    The daemon makes the file and lists it.
    write   A block is refused if it does not begin where the block before it ended: a node's client
            writes a file from its beginning to its end (vos/NODES.md, section 5.5). The block is
            counted against the quota, and the disk must have room. Then it is written and hashed.
    close   `finish` syncs the file and its folder and tells the daemon. Only then does the client
            get its reply.

After a write that failed, every later write is refused, and so is the close. If the session ends
while the file is open, the session calls `abandon`. If the process is killed, the daemon measures
the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from cucmd.failure import FULL_DISK, Code
from cucmd.receiver.daemon_client import DaemonClient
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, RequestRefused, Status

# After this many bytes, the kernel is asked to begin to write them to the disk. Otherwise it might
# have to write gigabytes of a file of 5 GB at the close, while the node waits for the reply.
_WRITE_BACK = 32 * MIB

_IN_ORDER = "the node's SFTP client must write a file from its beginning to its end"


class Upload:
    """Writes one file, and owns its descriptor.

    number: the daemon's number for the file.
    sync_name: makes the name of the file durable.
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
        self._written_back = 0  # bytes that the kernel was asked to write to the disk
        self._failed = False

    def write(self, offset: int, block: memoryview) -> None:
        """Writes a block. Raises RequestRefused, after which the upload has failed."""
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
        """Closes the file for its client. The file and its name are durable on return.

        Raises RequestRefused if a write or the sync has failed, and OSError if the close fails.
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
        """Closes a file that its client has left open, even if this raises OSError."""
        self._failed = True
        self._end()

    def _end(self) -> None:
        try:
            os.close(self.descriptor)
        except OSError:
            # The descriptor is closed nevertheless. A network file system may report only now that
            # it could not write the file.
            self._failed = True
            raise
        finally:
            digest = self._hash.hexdigest()
            self._daemon.report_closed(self.number, self._size, digest, closed=not self._failed)

    def _check_block(self, offset: int, count: int) -> None:
        """Raises RequestRefused if an earlier write has failed, if the block does not begin at the
        end of what was written, or if the quota or the disk has no room for it.
        """
        expected = self._size
        if self._failed:
            raise RequestRefused(Status.FAILURE, "an earlier write of this file has failed")
        if count and offset != expected:
            # Of this process, the daemon takes only the codes disk_full and quota_exceeded.
            message = f"a file came out of order: a block at {offset} after {expected} bytes"
            raise self._daemon.stop_uploads(Code.QUOTA_EXCEEDED, message, _IN_ORDER)
        self._daemon.reserve_bytes(count)
        if shortage := self._space.shortage(self.descriptor, count):
            raise self._daemon.stop_uploads(Code.DISK_FULL, shortage)

    def _count_written(self, block: memoryview) -> None:
        """Counts written bytes, which are only a part of the block if the disk is full."""
        self._daemon.count_bytes(len(block))
        self._size += len(block)
        self._hash.update(block)
        count = self._size - self._written_back
        if count >= _WRITE_BACK:  # starts the write-back and does not wait for it
            os.posix_fadvise(self.descriptor, self._written_back, count, os.POSIX_FADV_DONTNEED)
            self._written_back = self._size

    def _fail_with(self, error: OSError) -> RequestRefused:
        """Marks the upload as failed, and returns the exception to raise."""
        self._failed = True
        reason = error.strerror or str(error)
        if error.errno in FULL_DISK:
            return self._daemon.stop_uploads(Code.DISK_FULL, f"the disk is full: {reason}")
        self._daemon.log_once("error of the receiver's disk", reason)
        return RequestRefused(Status.FAILURE, reason)
