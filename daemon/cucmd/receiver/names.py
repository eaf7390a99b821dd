"""The memory that the names of received files take.

It is what they really take, on their whole way into the record.
"""

from __future__ import annotations

import sys

from cucmd.receiver.limits import ReceiverLimits

# Bytes for a file besides its path, until it is on record: the struct, and the one that says
# whether it is complete; size, checksum, time stamp, place in the list, and the entries of list,
# dict and set.
_COST_OF_FILE = 704


def name_cost(*paths: str) -> int:
    """Bytes of memory for a file that has come, until it is on record, with its paths.

    One character beyond Latin-1 makes four bytes of each in a text, and UTF-8 of it is kept beside
    it once it was written as JSON.
    """
    utf8 = sum(len(path.encode()) for path in paths if not path.isascii())
    return _COST_OF_FILE + sum(map(sys.getsizeof, paths)) + utf8


class Names:
    """Bytes of memory for the files of all targets together.

    Beyond `limits.names_total` a target gets no more than `limits.names_share`.
    """

    def __init__(self, limits: ReceiverLimits) -> None:
        self._limits = limits
        self.total = 0

    def full(self, own: int) -> bool:
        """Whether a target may not have `own` bytes, because all together have so many."""
        return own > self._limits.names_share and self.total >= self._limits.names_total

    def count(self, cost: int) -> None:
        self.total += cost
