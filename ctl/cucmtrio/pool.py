"""`Pool`: keeps the connections of a client, each used by one call at a time.

    a connection        is                      then
    opened              if none is idle         used
    used                by one call             idle, if the call came to its end
                                                closed, if it was cancelled, failed or was left
    idle                kept                    used again; closed if the daemon has closed it

So a late reply never meets the next call, and never more than `most` connections are open. Who
wants one while all are used waits, and gets one in the order of asking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from cucmtrio.wire import Wire


class Pool:
    def __init__(self, path: str, most: int) -> None:
        self._path = path
        self._free = trio.Semaphore(most, max_value=most)
        self._idle: list[Wire] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Wire]:
        """Yields a connection. It is closed if the block raises; else the block has left nothing in
        it that is still to come, or has closed it.
        """
        async with self._free:
            wire = await self._taken()
            try:
                yield wire
            except BaseException:
                wire.close()
                raise
            if self._closed:
                wire.close()
            elif not wire.closed:
                self._idle.append(wire)

    @property
    def all_used(self) -> bool:
        return self._free.value == 0

    async def _taken(self) -> Wire:
        if self._closed:
            raise trio.ClosedResourceError("this client has been closed")
        while self._idle:
            wire = self._idle.pop()
            if not wire.spent:
                return wire
            wire.close()
        return await Wire.connected(self._path)

    def close(self) -> None:
        """Closes what is idle now, and what is used as soon as it is not used any more."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
