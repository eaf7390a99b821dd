"""Returns the memory of ended jobs to the operating system.

The one rule: each step takes at most tens of milliseconds.

An SSH connection that has ended has cycles of references, which only a garbage collection frees.
Python would collect only after a quarter of all objects is new, and malloc does not return what it
has: a daemon that runs for months would stay as large as in its busiest hour.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import trio

EVERY = 1.0  # seconds between two checks whether something has ended


def freeze_startup_objects() -> None:
    """Excludes all objects of now from later collections, which then take milliseconds.

    Called first of all: an object that is frozen is never freed, and neither is a password in it.
    """
    gc.collect()
    gc.freeze()


async def keep_small(ended: Callable[[], int]) -> None:
    """Runs until it is cancelled. `ended` returns how many things have ended since the start."""
    seen = ended()
    while True:
        await trio.sleep(EVERY)
        if ended() != seen:
            seen = ended()
            gc.collect()  # in this thread: finalizers belong to the thread of the loop
            await trio.to_thread.run_sync(_trim)


def _trim() -> None:
    """Returns free pages of malloc. Does nothing with a C library other than glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
