"""Core dumps, and when memory is returned to the system.

Each test takes `autojump_clock` as an argument, because it has no effect through a mark.
"""

import gc
import subprocess
import sys
import weakref

import pytest
import trio
import trio.testing

from cucmd.service.own_process import (
    EVERY,
    GROWTH,
    freeze_startup_objects,
    return_free_memory,
)

pytestmark = pytest.mark.usefixtures("no_collections", "trims_at_once")


@pytest.fixture
def no_collections():
    """Turns off Python's own collections."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def trims_at_once(monkeypatch):
    """Runs the work of threads in place, since virtual time goes on while a thread works."""
    monkeypatch.setattr(trio.to_thread, "run_sync", called_here)


class Knot:
    """Refers to itself, as a connection does: only a collection frees it."""

    def __init__(self):
        self.me = self


async def test_garbage_of_ended_job_is_freed(nursery, autojump_clock):
    ended = 0
    nursery.start_soon(return_free_memory, lambda: ended)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(Knot())
    await trio.sleep(3 * EVERY)
    assert left() is not None  # no job has ended, so nothing is collected
    ended = 1
    await trio.sleep(EVERY + 1)
    assert left() is None


async def test_memory_is_returned_after_growth(nursery, autojump_clock):
    size = 50 * GROWTH
    nursery.start_soon(return_free_memory, lambda: 0, lambda: size)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(Knot())
    await trio.sleep(EVERY / 2)  # between two checks
    size += GROWTH - 1
    await trio.sleep(2 * EVERY)
    assert left() is not None, "it has not grown enough"
    for _ in range(5):
        size += GROWTH
        await trio.sleep(EVERY)
    assert left() is not None, "while it grows, its memory is in use"
    await trio.sleep(EVERY + 1)
    assert left() is None
    left = weakref.ref(Knot())
    await trio.sleep(2 * EVERY)
    assert left() is None, "what is free later is returned too"


async def called_here(function):
    function()


async def test_startup_objects_are_frozen():
    before, thresholds = gc.get_freeze_count(), gc.get_threshold()
    try:
        left = weakref.ref(Knot())
        freeze_startup_objects()  # it collects garbage first
        assert left() is None
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


# This runs in a separate process, because it cannot be undone.
_FORBIDS = """
import ctypes, resource
from cucmd.service.own_process import forbid_core_dumps
PR_GET_DUMPABLE = 3
prctl = ctypes.CDLL(None).prctl
assert prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1
forbid_core_dumps()
assert prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
"""


def test_core_dumps_are_forbidden():
    subprocess.run([sys.executable, "-c", _FORBIDS], check=True, timeout=60)
