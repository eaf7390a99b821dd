"""Core dumps; and memory, which is freed when a job has ended or the process has grown.

Each test takes `autojump_clock` as an argument: through a mark it has no effect.
"""

import gc
import subprocess
import sys
import weakref
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from cucmd.service import own_process
from cucmd.service.own_process import (
    EVERY,
    GROWTH,
    MOST_CHECKS,
    forbid_core_dumps,
    freeze_startup_objects,
    resident_bytes,
    return_free_memory,
)

pytestmark = pytest.mark.usefixtures("no_collections", "trims_at_once")


@pytest.fixture
def no_collections():
    """Python's own."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def trims_at_once(monkeypatch):
    """Virtual time goes on while a thread works."""
    monkeypatch.setattr(trio.to_thread, "run_sync", called_here)


class Knot:
    """Refers to itself, as a connection does: only a collection frees it."""

    def __init__(self):
        self.me = self


async def test_garbage_of_an_ended_job_is_freed_soon(nursery, autojump_clock):
    ended = 0
    nursery.start_soon(return_free_memory, lambda: ended)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(Knot())
    await trio.sleep(3 * EVERY)
    assert left() is not None  # no job has ended, so nothing is collected
    ended = 1
    await trio.sleep(EVERY + 1)
    assert left() is None


async def test_memory_is_returned_when_the_process_has_grown(nursery, autojump_clock):
    size = 50 * GROWTH
    nursery.start_soon(return_free_memory, lambda: 0, lambda: size)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(Knot())
    size += GROWTH - 1
    await trio.sleep(3 * EVERY)
    assert left() is not None
    size += 1
    await trio.sleep(EVERY + 1)
    assert left() is None


async def test_memory_in_use_is_not_looked_through(nursery, autojump_clock):
    size = 50 * GROWTH
    nursery.start_soon(return_free_memory, lambda: 0, lambda: size)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(Knot())
    await trio.sleep(EVERY / 2)  # between two looks
    for _ in range(5):
        size += GROWTH
        await trio.sleep(EVERY)
    assert left() is not None
    await trio.sleep(EVERY + 1)  # it has grown, and grows no more
    assert left() is None


async def test_what_is_free_later_is_returned_too(nursery, autojump_clock):
    """It was in use when the process had grown."""
    size = 50 * GROWTH
    nursery.start_soon(return_free_memory, lambda: 0, lambda: size)
    await trio.testing.wait_all_tasks_blocked()
    size += GROWTH
    await trio.sleep(2 * EVERY + 0.5)
    left = weakref.ref(Knot())
    await trio.sleep(EVERY)
    assert left() is None


@pytest.mark.long
async def test_a_process_that_stays_large_is_looked_at_once_a_minute(
    nursery, monkeypatch, autojump_clock
):
    size, trims = 50 * GROWTH, []
    libc = SimpleNamespace(malloc_trim=lambda _: trims.append(trio.current_time()))
    monkeypatch.setattr("cucmd.service.own_process.ctypes.CDLL", lambda _: libc)
    nursery.start_soon(return_free_memory, lambda: 0, lambda: size)
    await trio.testing.wait_all_tasks_blocked()
    size += GROWTH
    await trio.sleep(16 * MOST_CHECKS * EVERY)
    assert 10 < len(trims) < 30
    assert trims[-1] - trims[-2] == pytest.approx(MOST_CHECKS * EVERY)


async def called_here(function):
    function()


def test_the_memory_of_this_process_is_known():
    assert 1_000_000 < resident_bytes() < 100_000_000_000


async def test_reachable_objects_are_not_freed(nursery, autojump_clock):
    ended = 0
    nursery.start_soon(return_free_memory, lambda: ended)
    await trio.testing.wait_all_tasks_blocked()
    kept = Knot()
    ended = 1
    await trio.sleep(EVERY + 1)
    assert kept.me is kept


async def test_startup_objects_are_not_collected_again():
    before, thresholds = gc.get_freeze_count(), gc.get_threshold()
    try:
        left = weakref.ref(Knot())
        freeze_startup_objects()  # collects first
        assert left() is None
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_a_c_library_without_malloc_trim_is_not_an_error(
    nursery, monkeypatch, autojump_clock
):
    monkeypatch.setattr("cucmd.service.own_process.ctypes.CDLL", lambda _: object())
    ended = 0
    nursery.start_soon(return_free_memory, lambda: ended)
    await trio.testing.wait_all_tasks_blocked()
    ended = 1
    await trio.sleep(EVERY + 1)


# In a process of its own, because it cannot be undone.
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


def test_core_dumps_are_forbidden_by_limit_and_by_flag():
    subprocess.run([sys.executable, "-c", _FORBIDS], check=True, timeout=60)


def test_a_kernel_that_does_not_forbid_them_is_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(own_process.resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(own_process, "PR_SET_DUMPABLE", -1)
    forbid_core_dumps()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(": Invalid argument")
