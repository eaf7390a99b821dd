"""Files that are read in a thread: one that does not answer costs the read, and one thread."""

import math
import os
import threading
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.config.config_thread import READ_SECONDS, ConfigThread, ReadTimeout


async def test_what_was_read_is_given_and_what_was_raised_is_passed_on(tmp_path: Path) -> None:
    thread = ConfigThread()
    assert await thread.read(lambda: 5) == 5
    with pytest.raises(FileNotFoundError):
        await thread.read((tmp_path / "none").read_text)


async def test_a_pipe_in_the_place_of_a_file_takes_one_thread_and_only_the_first_waits_for_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """And reading goes on once somebody has written to it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = ConfigThread()
    before, began = threading.active_count(), trio.current_time()
    for _ in range(5):
        with pytest.raises(ReadTimeout):
            await thread.read(pipe.read_text)
    assert trio.current_time() == began + READ_SECONDS
    assert threading.active_count() <= before + 1
    autojump_clock.autojump_threshold = math.inf
    pipe.write_text("")
    assert await read_again(thread) == 5


async def read_again(thread: ConfigThread) -> int:
    """Reads once the thread has heard of the end of what it waited for."""
    while True:
        try:
            return await thread.read(lambda: 5)
        except ReadTimeout:
            await trio.lowlevel.checkpoint()
