"""Memory of ended jobs, returned to the system.

The one rule: only unreachable objects are touched, in steps of some tens of milliseconds.

An SSH connection that has ended is a cycle of references that only a garbage collection frees.
Python waits with it until a quarter of all objects are new, and malloc keeps what it once got from
the system: a daemon that runs for months would stay as large as in its busiest hour.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import trio

EVERY = 1.0  # seconds between checks whether a job has ended


def freeze_startup_objects() -> None:
    """Excludes what was imported from all later collections, which then take milliseconds.

    Call it first of all: an object that exists now is never freed, be it a job or a password.
    """
    gc.collect()
    gc.freeze()


async def return_free_memory(ended: Callable[[], int]) -> None:
    """Runs until cancelled. `ended` returns how many jobs have ended since the start."""
    seen = ended()
    while True:
        await trio.sleep(EVERY)
        if ended() != seen:
            seen = ended()
            gc.collect()  # not in a thread: finalizers belong to the thread of the loop
            await trio.to_thread.run_sync(_trim)


def _trim() -> None:
    """Returns whole free pages of malloc. Only glibc has this; with another library, nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
