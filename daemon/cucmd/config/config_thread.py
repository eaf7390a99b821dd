"""Reads files of the configuration, credentials among them, in a thread, and not for ever.

They can be somewhere on the network, as can the database of groups, and somebody can have put a
pipe in the place of a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

READ_SECONDS = 20.0  # a client waits for a minute

T = TypeVar("T")


class ReadTimeout(Exception):
    """Says that files could not be read in time."""

    def __init__(self) -> None:
        super().__init__(f"configuration or credentials: not read within {READ_SECONDS:g} s")


class ConfigThread:
    """Reads in one thread, since one that waits for a file cannot be ended: without a limit these
    would take all of trio's threads, which write the files of jobs too.
    """

    def __init__(self) -> None:
        self._one = trio.CapacityLimiter(1)
        self._overdue = False

    async def read(self, read: Callable[[], T]) -> T:
        """Returns what `read` gives. Raises what it raises, and `ReadTimeout` after `READ_SECONDS`,
        or at once while the thread is in one for which somebody has waited so long.
        """
        self._overdue = self._overdue and self._one.borrowed_tokens > 0
        with trio.move_on_after(0 if self._overdue else READ_SECONDS):
            return await trio.to_thread.run_sync(read, abandon_on_cancel=True, limiter=self._one)
        self._overdue = True
        raise ReadTimeout
