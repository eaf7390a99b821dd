"""The files of a reload: one that does not answer costs the reload, and one thread."""

import os
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.api.knowledge import CannotReload
from cucmd.service import in_force
from cucmd.service.in_force import read_in_thread


async def test_what_was_read_is_given_and_what_was_raised_is_passed_on(tmp_path: Path) -> None:
    one = trio.CapacityLimiter(1)
    assert await read_in_thread(lambda: 5, one) == 5
    with pytest.raises(FileNotFoundError):
        await read_in_thread((tmp_path / "none").read_text, one)


async def test_a_pipe_in_the_place_of_a_file_takes_one_thread_however_often_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And reading goes on once somebody has written to it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    one = trio.CapacityLimiter(1)
    await read_in_thread(lambda: None, one)  # so that its thread is there
    before = threading.active_count()
    monkeypatch.setattr(in_force, "READ_SECONDS", 0.05)
    for _ in range(5):
        with pytest.raises(CannotReload):
            await read_in_thread(pipe.read_text, one)
    assert threading.active_count() <= before + 1
    monkeypatch.setattr(in_force, "READ_SECONDS", 60)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_in_thread, lambda: None, one)
        await trio.testing.wait_all_tasks_blocked()
        pipe.write_text("")
