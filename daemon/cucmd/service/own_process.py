"""Handles the daemon's signals, forbids core dumps, and returns unused memory to the system.

Signals that request something (SIGHUP, SIGUSR1) never end the process. A stop (SIGTERM, SIGINT)
ends the process immediately as long as no node has been contacted.

Without `return_free_memory`, the daemon would stay as large as in its busiest hour. An SSH
connection that has ended is a cycle of references, which only a garbage collection frees. Python
delays a full collection until a quarter of all objects are new, and malloc keeps freed memory.
Requests of users, a few megabytes each, have the same effect without any job.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import trio

_log = logging.getLogger(__name__)

# Signals

REQUESTS = (signal.SIGHUP, signal.SIGUSR1)
STOPS = (signal.SIGTERM, signal.SIGINT)


def set_signal_defaults() -> None:
    """Sets what signals do before and after `Signals` receives them. Call it before anything else.

    SIGINT ends the process as SIGTERM does, without the traceback of Python.
    """
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)


class Signals:
    """Receives signals until the stack closes. Make it inside `trio.run`, in the main thread.

    Requests that arrive while the daemon starts are queued.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.requests: AsyncIterator[int] = stack.enter_context(
            trio.open_signal_receiver(*REQUESTS)
        )
        self._stops = stack.enter_context(ExitStack())
        self._stop: AsyncIterator[int] | None = None

    def defer_stops(self) -> None:
        """From now on, queues stops for `stop`. Call it before the first node is contacted."""
        self._stop = self._stops.enter_context(trio.open_signal_receiver(*STOPS))

    async def stop(self) -> str:
        """Waits for a stop and returns its name. The next stop ends the process immediately."""
        assert self._stop is not None
        number = await anext(self._stop)
        self._stops.close()
        return signal.Signals(number).name


# Core dumps

PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def forbid_core_dumps() -> None:
    """Keeps the memory of the process, which contains passwords, from being written to a disk.

    LimitCORE=0 in the unit is not enough: the kernel ignores that limit if core_pattern is a pipe.
    Other processes of the same user cannot trace the process any more, and root owns its
    /proc/PID/fd, environ and mem. Logs a warning if the kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        _log.warning("cannot forbid core dumps: %s", os.strerror(ctypes.get_errno()))


# Memory

# Seconds between checks.
EVERY = 4.0
# Bytes by which the process may grow before its memory is returned.
GROWTH = 16 * 1024 * 1024
# The most checks between two returns of memory while the process stays large: about a minute.
MOST_CHECKS = 16
# Begins with the size of the address space, then the size in memory, both in pages.
_STATM = Path("/proc/self/statm")


def freeze_startup_objects() -> None:
    """Excludes all existing objects from garbage collections, which then take milliseconds.

    Call it before there are jobs or passwords, because objects that exist now are never freed.

    It also makes collections rarer than Python's one for every 700 to 2,000 new objects. With 900
    logins, whose objects stay in use, collections took a fifth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


async def return_free_memory(
    ended: Callable[[], int], resident: Callable[[], int] | None = None
) -> None:
    """Returns free memory to the system from time to time. Runs until cancelled.

    Memory is returned when a job has ended, and when the process has grown by `GROWTH` and has
    stopped growing (while it grows, its memory is in use). As long as the process is larger than
    its smallest size by `GROWTH`, memory is returned again, less and less often, because some of it
    may have become free since.

    ended     returns how many jobs have ended since the start
    resident  returns how many bytes of the process are in memory
    """
    resident = resident or resident_bytes
    seen = ended()
    least = size = now = resident()
    passed = 1  # checks since memory was returned
    pause = 1  # checks after which memory is returned again if the process is large
    while True:
        await trio.sleep(EVERY)
        before, now = now, resident()
        grows = now >= before + GROWTH // 4
        due = ended() != seen or (now >= size + GROWTH and not grows)
        if due or (now >= least + GROWTH and passed >= pause and not grows):
            seen = ended()
            gc.collect()  # not in a worker thread: finalizers must run in the event loop's thread
            await trio.to_thread.run_sync(_trim)
            size = resident()
            least = min(least, size)
            passed, pause = 0, 1 if due else min(2 * pause, MOST_CHECKS)
        passed += 1


def resident_bytes() -> int:
    """Returns the bytes of this process that are in memory, or 0 if there is no /proc."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _trim() -> None:
    """Returns free pages of malloc to the system. Does nothing if the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
