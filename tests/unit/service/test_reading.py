"""The files of a reload: one that does not answer costs the reload, and one thread."""

import os
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.api.reload import CannotReload
from cucmd.service import reading
from cucmd.service.reading import Reading


async def test_what_was_read_is_given_and_what_was_raised_is_passed_on(tmp_path: Path) -> None:
    read = Reading()
    assert await read(lambda: 5) == 5
    with pytest.raises(FileNotFoundError):
        await read((tmp_path / "none").read_text)


async def test_a_pipe_in_the_place_of_a_file_takes_one_thread_however_often_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And reading goes on once somebody has written to it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = Reading()
    await read(lambda: None)  # so that its thread is there
    before = threading.active_count()
    monkeypatch.setattr(reading, "SECONDS", 0.05)
    for _ in range(5):
        with pytest.raises(CannotReload):
            await read(pipe.read_text)
    assert threading.active_count() <= before + 1
    monkeypatch.setattr(reading, "SECONDS", 60)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        pipe.write_text("")
