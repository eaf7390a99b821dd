"""One file while it arrives: written, counted, hashed, closed. Synchronous: for worker threads.

The one rule: a file is complete only if the client closed it and everything before that worked;
whatever else ends it leaves it marked incomplete.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable

from cucmd.failure import FULL_DISK, Code
from cucmd.receiver.accounting import Accounting, Entry
from cucmd.receiver.folder import attributes_of
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, Refused, Status
from cucmd.receiver.packets import Attrs

# Dirty pages are sent on to the disk in such pieces while the file still arrives. Otherwise a
# 5 GB file leaves the kernel gigabytes to write at the end, while the node waits for its close.
_WRITE_BACK = 32 * MIB
_READ_BACK = MIB

_log = logging.getLogger(__name__)


class Upload:
    """An open handle. Owns the descriptor from the moment it is made.

    `sync_name` puts the file's name on the disk, as fsync does with its bytes.
    """

    def __init__(  # noqa: PLR0917  # made in one place, by the handler
        self,
        descriptor: int,
        entry: Entry,
        accounting: Accounting,
        space: FreeSpace,
        ahead: int,
        sync_name: Callable[[], None],
    ) -> None:
        self._descriptor = descriptor
        self._entry = entry
        self._accounting = accounting
        self._space = space
        self._ahead = ahead
        self._sync_name = sync_name
        self._hash = hashlib.sha256()
        self._hashed = 0  # bytes from the start that the hash has seen
        self._arrived = 0  # payload, rewrites too
        self._sent_on = 0  # bytes from the start whose write-back was begun
        self._in_order = True
        self._broken = False

    def write(self, offset: int, block: memoryview) -> None:
        """Raises Refused; after that this file stays incomplete and takes nothing more."""
        try:
            self._admit(offset, len(block))
            self._write_all(offset, block)
        except BaseException:
            self._broken = True
            raise

    def attributes(self) -> Attrs:
        return attributes_of(self._descriptor)

    def set_times(self, times: tuple[int, int]) -> None:
        os.utime(self._descriptor, times)

    def finish(self) -> None:
        """The client closed it: on the disk when this returns. Raises Refused if not whole, and
        OSError where that shows at the very end.
        """
        digest = ""
        if self._arrived < self._entry.size:
            self._broken = True  # there is a hole; what stands in it, nobody sent
        try:
            if not self._broken:
                self._hash_the_rest()
                os.fsync(self._descriptor)
                self._sync_name()
                digest = self._hash.hexdigest()
        except OSError as error:
            raise self._failed(error) from error
        finally:
            whole = self._end(digest)
        if not whole:
            self._accounting.check_open()
            raise Refused(Status.FAILURE, "the file did not arrive whole")

    def abandon(self) -> None:
        """The session ended with the file open. Raises OSError, and is closed all the same."""
        self._broken = True
        self._end("")

    def _end(self, digest: str) -> bool:
        try:
            os.close(self._descriptor)
        except OSError:
            # The descriptor is gone all the same. Network file systems tell here what did not
            # get to the disk.
            self._broken = True
            raise
        finally:
            if not digest and self._in_order:
                digest = self._hash.hexdigest()  # of the part that came
            whole = self._accounting.end(self._entry, digest, complete=not self._broken)
        return whole

    def _admit(self, offset: int, count: int) -> None:
        if self._broken:
            raise Refused(Status.FAILURE, "an earlier write of this file has failed")
        if offset > self._arrived + self._ahead:
            raise Refused(Status.FAILURE, f"a block at {offset}, {self._arrived} bytes have come")
        self._accounting.take_bytes(count)
        shortage = self._space.shortage(self._descriptor, count)
        if shortage:
            raise self._accounting.refuse(Code.DISK_FULL, shortage)

    def _write_all(self, offset: int, block: memoryview) -> None:
        try:
            while block:
                written = os.pwrite(self._descriptor, block, offset)
                self._account(offset, block[:written])
                offset, block = offset + written, block[written:]
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> Refused:
        self._broken = True
        reason = error.strerror or str(error)
        if error.errno in FULL_DISK:
            return self._accounting.refuse(Code.DISK_FULL, f"the disk took no more: {reason}")
        _log.warning("%s: the receiver's disk: %s", self._accounting.name, reason)
        return Refused(Status.FAILURE, reason)

    def _account(self, offset: int, block: memoryview) -> None:
        """Of what is in the file: the rest of its block may not get there."""
        end = offset + len(block)
        self._arrived += len(block)
        self._accounting.count_bytes(len(block))
        self._entry.size = max(self._entry.size, end)
        if self._in_order and offset == self._hashed:
            self._hash.update(block)
            self._hashed = end
            self._send_on()
        else:
            self._in_order = False

    def _send_on(self) -> None:
        """Starts write-back of what came since the last time; does not wait for it."""
        count = self._hashed - self._sent_on
        if count >= _WRITE_BACK:
            os.posix_fadvise(self._descriptor, self._sent_on, count, os.POSIX_FADV_DONTNEED)
            self._sent_on = self._hashed

    def _hash_the_rest(self) -> None:
        """Blocks came out of order: the truth is what is on the disk now."""
        if self._in_order:
            return
        self._hash = hashlib.sha256()
        at = 0
        while not self._accounting.closed:
            piece = os.pread(self._descriptor, _READ_BACK, at)
            if not piece:
                self._in_order = True
                return
            self._hash.update(piece)
            at += len(piece)
        self._broken = True
