"""Does what the daemon does with its own process: signals, core dumps, memory.

A request (SIGHUP, SIGUSR1) never ends the process; a stop (SIGTERM, SIGINT) ends it at once while
no node has been contacted.

An SSH connection that has ended is a cycle of references that only a garbage collection frees.
Python waits with it until a quarter of all objects are new, and malloc keeps what it once got from
the system: a daemon that runs for months would stay as large as in its busiest hour. The same is
true of the requests of its users: a few megabytes each, and without any job.
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
    """Sets what signals do while no receiver is open: before the daemon is up, and as it ends.

    Call it once, before anything else. SIGINT then ends the process as SIGTERM does, without
    Python's traceback.
    """
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)


class Signals:
    """Requests are queued from here on, e.g. a reload for a file that changes during the start."""

    def __init__(self, stack: ExitStack) -> None:
        self.requests: AsyncIterator[int] = stack.enter_context(
            trio.open_signal_receiver(*REQUESTS)
        )
        self._stops = stack.enter_context(ExitStack())
        self._stop: AsyncIterator[int] | None = None

    def defer_stops(self) -> None:
        """Queues stops for `stop` from now on. Call it before the first node is contacted."""
        self._stop = self._stops.enter_context(trio.open_signal_receiver(*STOPS))

    async def stop(self) -> str:
        """Waits for a stop and returns its name. The next one ends the process at once."""
        assert self._stop is not None
        number = await anext(self._stop)
        self._stops.close()
        return signal.Signals(number).name


# Core dumps

PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def forbid_core_dumps() -> None:
    """Lets no image of the memory, which holds passwords, reach a disk.

    More than LimitCORE=0 in the unit: where core_pattern is a pipe, the kernel ignores the limit.
    A process that cannot be dumped cannot be traced by others of its user either, and
    /proc/PID/fd, environ and mem belong to root. Where the kernel refuses, that is logged.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        _log.warning("cannot forbid core dumps: %s", os.strerror(ctypes.get_errno()))


# Memory

# Seconds between checks: while a large job logs in the process grows, and each finds nothing free.
EVERY = 4.0
# Bytes by which the process may have grown since its memory was last returned.
GROWTH = 16 * 1024 * 1024
# Checks between two returns of memory while the process stays as large: about a minute.
MOST_CHECKS = 16
_STATM = Path("/proc/self/statm")  # in pages: the size, and what of it is in memory


def freeze_startup_objects() -> None:
    """Excludes what was imported from all later collections, which then take milliseconds.

    Call it first of all: an object that exists now is never freed, be it a job or a password. From
    here on collections are rarer: Python's own pace, every 700 to 2,000 new objects, took a fifth
    of the time of 900 logins, whose objects live on. What a job leaves is collected at its end.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


async def return_free_memory(
    ended: Callable[[], int], resident: Callable[[], int] | None = None
) -> None:
    """Runs until cancelled. Returns memory when a job has ended, when the process has grown by
    `GROWTH` and grows no more (as long as it does, all is in use), and then less and less often
    while it is larger than its least size by so much: what was in use when memory was returned may
    be free by now.

    `ended` returns how many jobs have ended since the start, `resident` the bytes of the process
    that are in memory.
    """
    resident = resident or resident_bytes
    seen = ended()
    least = size = now = resident()
    passed = pause = 1  # checks since the last return, and those until the next one of a large one
    while True:
        await trio.sleep(EVERY)
        before, now = now, resident()
        grows = now >= before + GROWTH // 4
        due = ended() != seen or (now >= size + GROWTH and not grows)
        if due or (now >= least + GROWTH and passed >= pause and not grows):
            seen = ended()
            gc.collect()  # not in a thread: finalizers belong to the thread of the loop
            await trio.to_thread.run_sync(_trim)
            size = resident()
            least = min(least, size)
            passed, pause = 0, 1 if due else min(2 * pause, MOST_CHECKS)
        passed += 1


def resident_bytes() -> int:
    """Returns 0 where there is no /proc."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _trim() -> None:
    """Returns whole free pages of malloc. Only glibc has this; with another library, nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
