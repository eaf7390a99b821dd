"""Watches how much of the disk must stay free.

It is asked before the bytes are written. The disk is looked at when the bytes that were free above
the minimum the last time may be used up, and once in 16 MiB at least, since other programs write
there too.
"""

from __future__ import annotations

import os

from cucmd.receiver.limits import MIB

_LOOK_EVERY = 16 * MIB  # of all uploads of a process, so that it costs little


class FreeSpace:
    """Says whether the disk has writable_bytes.

    processes: so many may fill the same disk, and none of them writes more than its part of what is
    free before it looks again.
    """

    def __init__(self, min_bytes: int, min_ratio: float, processes: int = 1) -> None:
        self._processes = processes
        self._min_bytes = min_bytes
        self._min_ratio = min_ratio
        self._left = 0  # bytes that may be written before the next look

    def shortage(self, descriptor: int, count: int) -> str | None:
        """Says why `count` bytes more are too many for the disk that `descriptor` is on, or None.

        Below the minimum every call looks again: space may have been freed.
        """
        if self._left < count:
            shortage, above = self._measure(descriptor, count)
            if shortage:
                return shortage
            self._left = max(min(above // self._processes, _LOOK_EVERY), count)
        self._left -= count
        return None

    def current_shortage(self, descriptor: int) -> str | None:
        """Says why nothing at all may be written now, or None. For a file that is to be opened."""
        return self._measure(descriptor, 0)[0]

    def writable_bytes(self, descriptor: int) -> int:
        """Returns how many bytes may be written to the disk that `descriptor` is on, by its own
        figures.
        """
        free, floor = self._figures(descriptor)
        return max(0, free - floor)

    def _measure(self, descriptor: int, count: int) -> tuple[str | None, int]:
        """Returns a shortage, and the bytes above the minimum."""
        free, floor = self._figures(descriptor)
        if free - count >= floor:
            return None, free - floor
        return f"{free // MIB} MiB of the disk are free, {floor // MIB} MiB must stay free", 0

    def _figures(self, descriptor: int) -> tuple[int, int]:
        """Counts the bytes that are free, and those that must stay free."""
        disk = os.fstatvfs(descriptor)
        floor = max(self._min_bytes, int(self._min_ratio * disk.f_blocks * disk.f_frsize))
        return disk.f_bavail * disk.f_frsize, floor
