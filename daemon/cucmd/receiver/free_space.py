"""Keeps a part of the disk free.

Before a write, the disk is measured only if earlier writes may have used up the bytes that were
free at the last measurement, and at least once in 16 MiB, because other programs write too.
"""

from __future__ import annotations

import os

from cucmd.receiver.limits import MIB

_LOOK_EVERY = 16 * MIB  # the most bytes that the process writes between two measurements


class FreeSpace:
    """Tells whether the disk has room for more bytes.

    min_bytes, min_ratio: the bytes, and the part of the disk, that stay free. The greater counts.
    processes: how many processes may fill the same disk. Each writes at most its part of the free
        bytes before it measures again.
    """

    def __init__(self, min_bytes: int, min_ratio: float, processes: int = 1) -> None:
        self._processes = processes
        self._min_bytes = min_bytes
        self._min_ratio = min_ratio
        self._left = 0  # bytes that may be written before the next measurement

    def shortage(self, descriptor: int, count: int) -> str | None:
        """Returns why the disk of this descriptor has no room for `count` more bytes, or None.

        Once there is too little room, every call measures again, because space may get free.
        """
        if self._left < count:
            free, floor = self.figures(descriptor)
            if free - count < floor:
                return _describe(free, floor)
            self._left = max(min((free - floor) // self._processes, _LOOK_EVERY), count)
        self._left -= count
        return None

    def current_shortage(self, descriptor: int) -> str | None:
        """Returns why no new file may be opened now, or None if the disk has room."""
        free, floor = self.figures(descriptor)
        return _describe(free, floor) if free < floor else None

    def room(self, descriptor: int) -> tuple[int, int]:
        """Returns how many more bytes may be written to the disk of this descriptor, and how many
        bytes stay free besides.
        """
        free, floor = self.figures(descriptor)
        return max(0, free - floor), floor

    def figures(self, descriptor: int) -> tuple[int, int]:
        """Returns how many bytes of the disk are free, and how many must stay free."""
        disk = os.fstatvfs(descriptor)
        floor = max(self._min_bytes, int(self._min_ratio * disk.f_blocks * disk.f_frsize))
        return disk.f_bavail * disk.f_frsize, floor


def _describe(free: int, floor: int) -> str:
    return f"{free // MIB} MiB of the disk are free, {floor // MIB} MiB must stay free"
