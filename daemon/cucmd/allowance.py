"""Says how many bytes may still be received: of a node, and of all nodes of a job together.

Bytes beyond a limit are refused. It is counted in the thread of the loop.
"""

from __future__ import annotations

import msgspec


class Allowance:
    """`size` is the limit in bytes; 0 means none. `used`: what counts already."""

    def __init__(self, size: int = 0, used: int = 0) -> None:
        self.size = size
        self._used = used

    def take(self, count: int) -> bool:
        """Says whether `count` more bytes may come, and counts them if so."""
        if self.size and self._used + count > self.size:
            return False
        self._used += count
        return True

    def give_back(self, count: int) -> None:
        """Gives back bytes that were taken and have not come."""
        self._used -= count

    @property
    def left(self) -> int | None:
        """Returns how many more bytes may come; None: as many as there are."""
        return max(0, self.size - self._used) if self.size else None


class Quota(msgspec.Struct, frozen=True):
    """Says what one node may send, in bytes of its files: `node` is its own, `job` is shared by all
    nodes of the job. Made with the task of the node, and handed to the receiver as it is.
    """

    node: Allowance = msgspec.field(default_factory=Allowance)
    job: Allowance = msgspec.field(default_factory=Allowance)
