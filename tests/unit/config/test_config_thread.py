"""Reading files in a thread that may hang."""

import math
import os
import threading
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.config.config_thread import READ_SECONDS, ConfigThread, ReadTimeout


async def test_result_and_error_are_passed_on(tmp_path: Path) -> None:
    thread = ConfigThread()
    assert await thread.read(lambda: 5) == 5
    with pytest.raises(FileNotFoundError):
        await thread.read((tmp_path / "none").read_text)


async def test_hanging_read_costs_one_thread(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Only the first read waits. Reading works again when somebody has written to the pipe."""
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
    """Tries to read until the thread has noticed that the hanging read has ended."""
    while True:
        try:
            return await thread.read(lambda: 5)
        except ReadTimeout:
            await trio.lowlevel.checkpoint()
