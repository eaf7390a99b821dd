"""Space on the disk that only deletions may use."""

import errno
import os
from pathlib import Path

import pytest
import trio

from cucmd.durable import RESERVE
from cucmd.store.reserve import Reserve


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


async def test_it_is_given_up_while_anybody_needs_it(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    reserve = Reserve(path)
    async with reserve.released():
        pass
    assert taken(path) >= RESERVE
    async with reserve.released():
        async with reserve.released():
            assert taken(path) == 0
        assert taken(path) == 0
    assert taken(path) >= RESERVE


async def test_a_cancel_does_not_leave_it_given_up(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    with trio.CancelScope() as scope:
        async with Reserve(path).released():
            scope.cancel()
            await trio.sleep_forever()
    assert taken(path) >= RESERVE


async def test_it_takes_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allocate = os.posix_fallocate

    def little(descriptor: int, begin: int, size: int) -> None:
        if size > RESERVE // 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        allocate(descriptor, begin, size)

    monkeypatch.setattr(os, "posix_fallocate", little)
    async with Reserve(tmp_path / "reserve").released():
        pass
    assert taken(tmp_path / "reserve") == RESERVE // 4


async def test_without_a_folder_nothing_is_taken(tmp_path: Path) -> None:
    async with Reserve(tmp_path / "gone" / "reserve").released():
        pass
