"""Memory that ended jobs leave behind, given back to the machine.

The one rule: only what is dead is touched, in steps too short for anybody to notice.

An SSH connection that has ended is a knot of references that only a collection undoes. Python
would let a quarter of all objects pile up first, and what malloc has once had from the machine
it keeps: a daemon that runs for months would stay as large as its busiest hour.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import trio

EVERY = 1.0  # seconds between looks at whether there is something to give back; tens of ms each


def freeze_startup_objects() -> None:
    """No collection looks at it again: without all that was imported it takes milliseconds.

    For the very beginning: what is here now is never given back, a job or a password with it.
    """
    gc.collect()
    gc.freeze()


async def keep_small(ended: Callable[[], int]) -> None:
    """Gives back for as long as it runs; `ended` counts what has ended since the start."""
    seen = ended()
    while True:
        await trio.sleep(EVERY)
        if ended() != seen:
            seen = ended()
            gc.collect()  # here: what it finalizes belongs to the thread of the loop
            await trio.to_thread.run_sync(_trim)


def _trim() -> None:
    """Whole pages that malloc holds free; a C library other than glibc has its own ways."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
