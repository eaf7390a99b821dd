"""PURE. Which bytes of a file were written, each counted once.

The memory does not depend on the file, only on the number of parts with a gap before them; and that
is asked for, by `fits`, before a block is written.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class WrittenBytes:
    """`whole`: so many bytes from the start have no gap.
    `count`: all bytes that were written. Equal to `whole` if there is no gap.
    """

    __slots__ = ("_ends", "_parts", "_starts", "count", "whole")

    def __init__(self, parts: int) -> None:
        """`parts`: how many parts beyond a gap there may be."""
        self.whole = 0
        self.count = 0
        self._parts = parts
        # The parts beyond the first gap, in order: no two of them overlap or touch.
        self._starts: list[int] = []
        self._ends: list[int] = []

    def fits(self, start: int, end: int) -> bool:
        """Whether `add` stays within the parts that may be."""
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
        """The parts that overlap with these bytes or touch them: from the one, to before the
        other.
        """
        return bisect_left(self._ends, start), bisect_right(self._starts, end)
