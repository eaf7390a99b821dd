"""Space on the disk that is reserved for deletions."""

import resource
from pathlib import Path

import trio

from cucmd.durable import RESERVE
from cucmd.store.reserve import Reserve


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


async def test_space_is_released_and_taken(tmp_path: Path) -> None:
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


async def test_cancel_takes_the_space_again(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    with trio.CancelScope() as scope:
        async with Reserve(path).released():
            scope.cancel()
            await trio.sleep_forever()
    assert taken(path) >= RESERVE


async def test_partial_reserve(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVE // 3, before[1]))
    try:
        async with Reserve(tmp_path / "reserve").released():
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert taken(tmp_path / "reserve") == RESERVE // 4
