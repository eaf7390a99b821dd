"""One effect for each start key of a user, however often and by whom it is sent at once.

Calls with the same key follow each other, so that the second finds on disk what the first has done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from cucmd.store import StartKey, Store


class KeyReused(Exception):
    """The key was used by this user for a call with other parameters."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"was used for job {job_id}, with other parameters")


class StartKeys:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks: dict[tuple[int, str], trio.Lock] = {}

    @asynccontextmanager
    async def job_of(self, key: StartKey | None) -> AsyncIterator[str | None]:
        """The id of the job that an earlier call with that key was about; None: there was none.

        Another call with the key waits until the body has ended.
        Raises `KeyReused`, `StoreFailed`.
        """
        if key is None:
            yield None
            return
        name = (key.owner, key.name)
        lock = self._locks.setdefault(name, trio.Lock())
        try:
            async with lock:
                yield await self._find(key)
        finally:
            if not lock.locked():
                self._locks.pop(name, None)

    async def _find(self, key: StartKey) -> str | None:
        found = await self._store.called_with(key)
        if found is None:
            return None
        job_id, digest = found
        if digest != key.digest:
            raise KeyReused(job_id)
        return job_id
