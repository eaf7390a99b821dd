"""A number of bytes that several node runs share: the quota of a job.

The one rule: it is never exceeded. It may be used from any thread, since files are written in
threads.
"""

from __future__ import annotations

import threading


class Allowance:
    """`size` in bytes; 0 means no limit. `used` is what a job had received before a restart."""

    def __init__(self, size: int, used: int = 0) -> None:
        self.size = size
        self._used = used
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Counts `count` more bytes and returns True; or returns False, if they are too many."""
        with self._lock:
            if self.size and self._used + count > self.size:
                return False
            self._used += count
            return True
