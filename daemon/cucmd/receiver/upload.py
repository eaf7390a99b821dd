"""Writes, counts, hashes and closes one file that arrives. Synchronous: for worker threads.

A file counts as closed only if the client closed it and everything before that worked, the fsync
included. If anything else ends it, it stays on disk and does not count as closed.

The life of a file, each step a request of the client:

    open    the folder has made the file; `Accounting.begin` lists it
    write   the bytes are counted against the quota, and the disk must have room for them; then
            they are written, and hashed if they follow what came before
    close   `finish`: refused where a byte before the end was never written; hashed from the disk
            if its blocks came out of order; fsync of the file, then of its folder;
            `Accounting.end`; only then is the client answered

A write that failed marks the upload as failed: every later write is refused, and `finish` refuses
the close. A session that ends, or a login that is revoked, with the file open: `abandon`.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable

from cucmd.failure import FULL_DISK, Code
from cucmd.receiver.accounting import Accounting, ArrivingFile
from cucmd.receiver.folder import attributes_of
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, ReceiverLimits, RequestRefused, Status
from cucmd.receiver.packets import Attrs

# How many bytes come before the kernel is asked to write them to the disk. Without that a file of
# 5 GB would leave it gigabytes to write at the close, while the node waits for the answer.
_WRITE_BACK = 32 * MIB
# How much is read at once to hash a file from the disk.
_READ_BACK = MIB

# Said of a file whose blocks come in no order, with gaps between them.
_TOO_MANY_GAPS = "a file came with too many gaps in it"
_IN_ORDER = "the node's SFTP client must write its files more or less in order"


class Upload:
    """Is an open handle. Owns the descriptor from the moment it is made.

    `sync_name`: makes the file's name durable, as fsync does its bytes.
    """

    def __init__(  # noqa: PLR0917  # made in one place, by the handler
        self,
        descriptor: int,
        file: ArrivingFile,
        accounting: Accounting,
        space: FreeSpace,
        limits: ReceiverLimits,
        sync_name: Callable[[], None],
    ) -> None:
        self._descriptor = descriptor
        self._file = file
        self._accounting = accounting
        self._space = space
        self._ahead = limits.ahead
        self._sync_name = sync_name
        self._hash = hashlib.sha256()
        self._hashed = 0  # bytes from the start that the hash has seen
        self._written = WrittenBytes(limits.parts)
        self._written_back = 0  # bytes from the start whose write-back was begun
        self._in_order = True
        self._failed = False

    def write(self, offset: int, block: memoryview) -> None:
        """Raises RequestRefused; after that the upload has failed and takes nothing more."""
        try:
            self._admit(offset, len(block))
            self._write_all(offset, block)
        except BaseException:
            self._failed = True
            raise

    def attributes(self) -> Attrs:
        return attributes_of(self._descriptor)

    def set_times(self, times: tuple[int, int]) -> None:
        os.utime(self._descriptor, times)
        self._accounting.stamp(self._file, times[1])

    def finish(self) -> None:
        """The client closes the file: it is durable on return.

        Raises RequestRefused if not every byte of it is there, and OSError if the last close fails.
        """
        digest = ""
        if self._written.whole < self._file.size:
            self._failed = True  # there is a gap, which the client never wrote
        try:
            if not self._failed:
                self._hash_the_rest()
                os.fsync(self._descriptor)
                self._sync_name()
                digest = self._hash.hexdigest()
        except OSError as error:
            raise self._refused(error) from error
        finally:
            closed = self._end(digest)
        if not closed:
            self._accounting.check_open()
            raise RequestRefused(Status.FAILURE, "the file did not arrive whole")

    def abandon(self) -> None:
        """The session ended with the file open. Closes it, also where it raises OSError."""
        self._failed = True
        self._end("")

    def _end(self, digest: str) -> bool:
        try:
            os.close(self._descriptor)
        except OSError:
            # The descriptor is closed nevertheless. A network file system reports only here what
            # it could not write.
            self._failed = True
            raise
        finally:
            if not digest and self._in_order:
                digest = self._hash.hexdigest()  # of the part that came
            closed = self._accounting.end(self._file, digest, closed=not self._failed)
        return closed

    def _admit(self, offset: int, count: int) -> None:
        if self._failed:
            raise RequestRefused(Status.FAILURE, "an earlier write of this file has failed")
        come = self._written.count
        if offset > come + self._ahead:
            raise RequestRefused(Status.FAILURE, f"a block at {offset}, {come} bytes have come")
        if not self._written.fits(offset, offset + count):
            raise self._accounting.refuse(Code.QUOTA_EXCEEDED, _TOO_MANY_GAPS, _IN_ORDER)
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
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> RequestRefused:
        self._failed = True
        reason = error.strerror or str(error)
        if error.errno in FULL_DISK:
            return self._accounting.refuse(Code.DISK_FULL, f"the disk took no more: {reason}")
        self._accounting.say("the receiver's disk", reason)
        return RequestRefused(Status.FAILURE, reason)

    def _account(self, offset: int, block: memoryview) -> None:
        """Counts bytes that are written: part of a block, where the disk took no more."""
        end = offset + len(block)
        self._written.add(offset, end)
        self._accounting.count_bytes(len(block))
        self._file.size = max(self._file.size, end)
        if self._in_order and offset == self._hashed:
            self._hash.update(block)
            self._hashed = end
            self._start_write_back()
        else:
            self._in_order = False

    def _start_write_back(self) -> None:
        """Asks the kernel to write to the disk what came since the last time; does not wait."""
        count = self._hashed - self._written_back
        if count >= _WRITE_BACK:
            os.posix_fadvise(self._descriptor, self._written_back, count, os.POSIX_FADV_DONTNEED)
            self._written_back = self._hashed

    def _hash_the_rest(self) -> None:
        """Hashes the file from the disk, if its blocks came out of order."""
        if self._in_order:
            return
        self._hash = hashlib.sha256()
        at = 0
        while not self._accounting.revoked:
            piece = os.pread(self._descriptor, _READ_BACK, at)
            if not piece:
                self._in_order = True
                return
            self._hash.update(piece)
            at += len(piece)
        self._failed = True


class WrittenBytes:
    """Notes which bytes of a file were written, each counted once.

    `whole`: so many bytes from the start have no gap.
    `count`: all bytes that were written. Equal to `whole` if there is no gap.

    The memory does not depend on the file, only on the number of parts with a gap before them; and
    that is asked for, by `fits`, before a block is written.
    """

    __slots__ = ("_ends", "_parts", "_starts", "count", "whole")

    def __init__(self, parts: int) -> None:
        """`parts` is how many parts beyond a gap there may be."""
        self.whole = 0
        self.count = 0
        self._parts = parts
        # The parts beyond the first gap, in order: no two of them overlap or touch.
        self._starts: list[int] = []
        self._ends: list[int] = []

    def fits(self, start: int, end: int) -> bool:
        """Says whether `add` stays within the parts that may be."""
        if start <= self.whole or start >= end or len(self._starts) < self._parts:
            return True
        first, last = self._touched(start, end)
        return first < last

    def add(self, start: int, end: int) -> None:
        """The bytes from `start` to before `end` are written, for the first time or again."""
        if start >= end:
            return
        first, last = self._touched(start, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
            for at in range(first, last):
                self.count -= self._ends[at] - self._starts[at]
            del self._starts[first:last], self._ends[first:last]
        if start > self.whole:
            self._starts.insert(first, start)
            self._ends.insert(first, end)
            self.count += end - start
        elif end > self.whole:
            self.count += end - self.whole
            self.whole = end

    def _touched(self, start: int, end: int) -> tuple[int, int]:
        """Finds the parts that overlap with these bytes or touch them: from the one, to before the
        other.
        """
        return bisect_left(self._ends, start), bisect_right(self._starts, end)
