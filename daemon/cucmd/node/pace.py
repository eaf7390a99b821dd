"""How fast a node may talk, so that one that talks without end takes nobody else's turn.

The one rule: a node that says what nodes say never waits here.
"""

from __future__ import annotations

import trio

# All nodes share one event loop, and to read a byte of a dialogue costs up to 3 us of it. A real
# dialogue is a few KB, and the names of 10,000 files are about 1 MB.
BURST = 1024 * 1024
RATE = 128 * 1024  # bytes a second, beyond the burst

PIECE = 8 * 1024  # what is read before the others have their turn


class Pace:
    """A bucket of `BURST` bytes that fills at `RATE`; in trio's time."""

    def __init__(self) -> None:
        self._full_at = trio.current_time()

    def take(self, size: int) -> None:
        """So many bytes were read."""
        self._full_at = max(self._full_at, trio.current_time()) + size / RATE

    async def wait(self) -> None:
        """Until more may be read: at once for a node that has not used up its burst."""
        await trio.sleep_until(self._full_at - BURST / RATE)
