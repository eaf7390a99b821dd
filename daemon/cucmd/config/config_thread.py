"""Reads files of the configuration and credentials in a thread, with a deadline.

Reading can hang if the files or the database of groups are on a network, or if a file is a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

READ_SECONDS = 20.0  # less than the minute for which a client waits

T = TypeVar("T")


class ReadTimeout(Exception):
    """Files could not be read within `READ_SECONDS`."""


class ConfigThread:
    """Runs functions that read files, in at most one thread at a time.

    A thread that waits for a file cannot be ended. Without this limit, such threads could use up
    all of trio's threads, which also write the files of jobs.
    """

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)
        self._overdue = False

    async def read(self, read: Callable[[], T]) -> T:
        """Returns the result of `read`, and raises what it raises.

        Raises `ReadTimeout` after `READ_SECONDS`, or immediately while the thread still hangs in an
        earlier read.
        """
        self._overdue = self._overdue and self._limiter.borrowed_tokens > 0
        with trio.move_on_after(0 if self._overdue else READ_SECONDS):
            return await trio.to_thread.run_sync(
                read, abandon_on_cancel=True, limiter=self._limiter
            )
        self._overdue = True
        raise ReadTimeout(f"configuration or credentials: not read within {READ_SECONDS:g} s")
