"""Memory that is not used any more, returned to the system.

Only unreachable objects are touched, in steps of some tens of milliseconds.

An SSH connection that has ended is a cycle of references that only a garbage collection frees.
Python waits with it until a quarter of all objects are new, and malloc keeps what it once got from
the system: a daemon that runs for months would stay as large as in its busiest hour. The same is
true of the requests of its users: a few megabytes each, and without any job.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path

import trio

# Seconds between checks: while a large job logs in the process grows, and each finds nothing free.
EVERY = 4.0
# Bytes by which the process may have grown since its memory was last returned.
GROWTH = 16 * 1024 * 1024
# Checks between two returns of memory while the process stays as large: about a minute.
MOST_CHECKS = 16
_STATM = Path("/proc/self/statm")  # in pages: the size, and what of it is in memory


def freeze_startup_objects() -> None:
    """Excludes what was imported from all later collections, which then take milliseconds.

    Call it first of all: an object that exists now is never freed, be it a job or a password.
    """
    gc.collect()
    gc.freeze()


async def return_free_memory(
    ended: Callable[[], int], resident: Callable[[], int] | None = None
) -> None:
    """Runs until cancelled. Returns memory when a job has ended, when the process has grown by
    `GROWTH`, and then less and less often while it is larger than its least size by so much: what
    was in use when memory was returned may be free by now.

    `ended` returns how many jobs have ended since the start, `resident` the bytes of the process
    that are in memory.
    """
    resident = resident or resident_bytes
    seen = ended()
    least = size = resident()
    passed = pause = 1  # checks since the last return, and those until the next one of a large one
    while True:
        await trio.sleep(EVERY)
        now = resident()
        due = ended() != seen or now >= size + GROWTH
        if due or (now >= least + GROWTH and passed >= pause):
            seen = ended()
            gc.collect()  # not in a thread: finalizers belong to the thread of the loop
            await trio.to_thread.run_sync(_trim)
            size = resident()
            least = min(least, size)
            passed, pause = 0, 1 if due else min(2 * pause, MOST_CHECKS)
        passed += 1


def resident_bytes() -> int:
    """0 where there is no /proc."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _trim() -> None:
    """Returns whole free pages of malloc. Only glibc has this; with another library, nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
