"""A thread for work that takes long, of which trio waits for the end.

A wait that is cancelled ends at once; the work sees that nobody waits any more, and ends at its
next step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import trio

T = TypeVar("T")


class WorkThread:
    """`initially` is called in the thread, before all work. `ended` is set by `close`."""

    def __init__(self, name: str, initially: Callable[[], None] | None = None) -> None:
        self._pool = ThreadPoolExecutor(1, name, initially)
        self._token = trio.lowlevel.current_trio_token()
        self.ended = threading.Event()

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        done = trio.Event()
        future: Future[T] = self._pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self._tell(done))
        await done.wait()
        return future.result()

    def close(self) -> None:
        self.ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _tell(self, done: trio.Event) -> None:
        try:
            self._token.run_sync_soon(done.set)
        except trio.RunFinishedError:
            pass  # the daemon has ended meanwhile
