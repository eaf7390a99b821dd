"""What happens again and again to one upload target: the first time is a line, the rest is counted.

No node decides how many lines it gets in the log. Safe from any thread.
"""

from __future__ import annotations

import logging
import threading

_log = logging.getLogger(__name__)


class Repeats:
    """Of one kind.

    `name`: a job and a node. `what`: begins the line of the first time.
    `many`: follows the count in the last line, "sessions were cut off" say.
    """

    def __init__(self, name: str, what: str, many: str, level: int = logging.WARNING) -> None:
        self._name = name
        self._what = what
        self._many = many
        self._level = level
        self._lock = threading.Lock()
        self._count = 0

    def add(self, reason: object) -> None:
        with self._lock:
            self._count += 1
            first = self._count == 1
        if first:
            _log.log(self._level, "%s: %s: %s", self._name, self._what, reason)

    def close(self) -> None:
        """Nothing more happens. May be called again."""
        with self._lock:
            count, self._count = self._count, 0
        if count > 1:
            _log.log(self._level, "%s: %d %s", self._name, count, self._many)
