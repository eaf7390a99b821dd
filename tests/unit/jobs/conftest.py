"""Virtual time beside threads that take real time."""

from collections.abc import Awaitable, Callable
from functools import wraps
from math import inf
from typing import ParamSpec, TypeVar

import pytest
import trio
from trio.testing import MockClock

from cucmd.store.thread import DatabaseThread

P = ParamSpec("P")
R = TypeVar("R")


@pytest.fixture
def autojump_clock(monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """Stands for pytest-trio's: it does not jump while somebody waits for a thread, however long
    that takes. The store has threads of its own, and other files are written in trio's.
    """
    clock = MockClock(autojump_threshold=0)
    waiting = 0

    def counted(run: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @wraps(run)
        async def wait(*arguments: P.args, **named: P.kwargs) -> R:
            nonlocal waiting
            waiting += 1
            clock.autojump_threshold = inf
            try:
                return await run(*arguments, **named)
            finally:
                waiting -= 1
                if not waiting:
                    clock.autojump_threshold = 0

        return wait

    monkeypatch.setattr(DatabaseThread, "run", counted(DatabaseThread.run))
    monkeypatch.setattr(trio.to_thread, "run_sync", counted(trio.to_thread.run_sync))
    return clock
