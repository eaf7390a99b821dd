"""Counts how many bytes may still be received from a node, and from all nodes of a job together.

Bytes beyond a limit are refused. There are no locks: only the thread of the event loop counts.
"""

from __future__ import annotations

import msgspec


class Allowance:
    """Counts bytes against a limit.

    size  the limit in bytes; 0 means no limit
    used  bytes that count from the start, such as those of earlier attempts
    """

    def __init__(self, size: int = 0, used: int = 0) -> None:
        self.size = size
        self._used = used

    def take(self, count: int) -> bool:
        """Reserves `count` bytes. Returns False, and reserves nothing, if they exceed the limit."""
        if self.size and self._used + count > self.size:
            return False
        self._used += count
        return True

    def give_back(self, count: int) -> None:
        """Releases reserved bytes that were not received after all."""
        self._used -= count

    @property
    def left(self) -> int | None:
        """Returns how many more bytes may be received, or None if there is no limit."""
        return max(0, self.size - self._used) if self.size else None


class Quota(msgspec.Struct, frozen=True):
    """Limits the bytes of the files that one node may send.

    node  the limit of this node alone
    job   the limit that all nodes of the job share: the same object for all of them
    """

    node: Allowance = msgspec.field(default_factory=Allowance)
    job: Allowance = msgspec.field(default_factory=Allowance)
