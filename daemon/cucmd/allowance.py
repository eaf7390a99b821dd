"""A number of bytes that several node runs may use up together: the quota of a job.

The one rule: it is never passed, only reached; safe from any thread, for writers are threads.
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
        """Whether `count` more bytes may come; they are counted if so."""
        with self._lock:
            if self.size and self._used + count > self.size:
                return False
            self._used += count
            return True
