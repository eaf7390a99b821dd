"""Reads the files of a reload in a thread, and waits for it for a limited time.

At most one thread waits for a file that does not answer.

A file or the database of groups can be somewhere on the network, and somebody can have put a pipe
in the place of a file. Such a thread cannot be ended. If each reload left one behind, they would
take all of trio's threads, which write the files of jobs too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from cucmd.api.reload import CannotReload

SECONDS = 20.0  # a client waits for a minute

T = TypeVar("T")


class Reading:
    """Called with a function that reads."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)

    async def __call__(self, read: Callable[[], T]) -> T:
        """What `read` gives. Raises what it raises, and `CannotReload`."""
        with trio.move_on_after(SECONDS):
            return await trio.to_thread.run_sync(
                read, abandon_on_cancel=True, limiter=self._limiter
            )
        raise CannotReload(f"the files could not be read within {SECONDS:g} s")
