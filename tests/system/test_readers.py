"""What processes read of nodes is an answer in the end, killed, stopped or lying as they may be."""

import os
import random
import signal
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from cucmd.received_file import PacketCount
from cucmd.service.readers import ROLES, Readers
from cucmd.worker.workers import open_workers
from rig.killed import KILLS, seeded
from rig.quiet import wait_until
from rig.worker_processes import forked

TESTS = str(Path(__file__).parents[1])
MANY = 300_000


@asynccontextmanager
async def readers_in(folder: Path, **roles: str) -> AsyncIterator[Readers]:
    """roles: those that do something else than the daemon's."""
    async with open_workers(folder, {**ROLES, **roles}, more_modules=TESTS) as workers:
        yield Readers(workers)


def capture_of(path: Path, packets: int) -> Path:
    """Of packets of one byte."""
    record = struct.pack("<IIII", 1, 2, 1, 60) + b"x"
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + record * packets)
    return path


Read = Callable[[Readers], Awaitable[object]]


def packets(folder: Path) -> tuple[Read, object]:
    paths = [capture_of(folder / "1.cap", 5), capture_of(folder / "2.cap", MANY)]
    return lambda readers: readers.count_packets(folder, paths, 10 * MANY), [
        PacketCount(5),
        PacketCount(MANY),
    ]


# kind -> makes files in a folder; gives what reads them for some tenths of a second, and its answer
KINDS = {"packets": packets}
each_kind = pytest.mark.parametrize("kind", KINDS)


async def until(condition: Callable[[], bool]) -> None:
    await trio.to_thread.run_sync(wait_until, condition)


@each_kind
async def test_what_reads_is_killed_or_stopped_and_the_answer_comes_all_the_same(
    tmp_path: Path, kind: str
) -> None:
    (read, answer), dice = KINDS[kind](tmp_path), seeded()
    async with readers_in(tmp_path) as readers:
        assert await read(readers) == answer
        await until(lambda: forked() == [])
        before = os.listdir("/proc/self/fd")
        for _ in range(KILLS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_one, dice)
                assert await read(readers) == answer
                nursery.cancel_scope.cancel()
        await until(lambda: forked() == [])
        assert os.listdir("/proc/self/fd") == before


async def kill_one(dice: random.Random) -> None:
    await until(lambda: forked() != [])
    await trio.sleep(dice.random() / 5)
    with suppress(ProcessLookupError, IndexError):  # it has ended
        os.kill(dice.choice(forked()), dice.choice((signal.SIGKILL, signal.SIGSTOP)))


@each_kind
async def test_a_cancel_in_the_middle_leaves_nothing_at_work(tmp_path: Path, kind: str) -> None:
    read, _ = KINDS[kind](tmp_path)
    async with readers_in(tmp_path) as readers, trio.open_nursery() as nursery:
        nursery.start_soon(read, readers)
        await until(lambda: forked() != [])
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await until(lambda: forked() == [])


@pytest.mark.parametrize("lie", ["send_nonsense", "say_words"])
async def test_a_wrong_frame_is_no_answer_and_why(tmp_path: Path, lie: str) -> None:
    async with readers_in(tmp_path, **dict.fromkeys(ROLES, f"rig.worker_roles:{lie}")) as readers:
        (one,) = await readers.count_packets(tmp_path, [tmp_path / "x"], 1000)
        assert one.uncounted


async def test_more_packets_than_were_asked_for_are_no_answer(tmp_path: Path) -> None:
    async with readers_in(tmp_path, packets="rig.worker_roles:exaggerate") as readers:
        (one,) = await readers.count_packets(tmp_path, [tmp_path / "x"], 1000)
    assert (one.count, bool(one.uncounted)) == (0, True)


async def test_a_file_that_takes_too_long_has_no_answer_and_the_others_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cucmd.service.readers._SPARE", 1)
    monkeypatch.setattr("cucmd.service.readers._PACKETS_A_SECOND", 10**9)
    paths = [capture_of(tmp_path / f"{number}.cap", number) for number in (3, 10**7, 4)]
    async with readers_in(tmp_path) as readers:
        counts = await readers.count_packets(tmp_path, paths, 10**8)
    assert [one.count for one in counts] == [3, 0, 4]
    assert [one.uncounted is None for one in counts] == [True, False, True]
