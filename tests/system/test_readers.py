"""Kills, stops and falsifies processes that read files of nodes: each call has a result."""

import gzip
import os
import random
import signal
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.cases.coverage_reader import TRACES
from cucmd.received_file import Contents, FileRead, PacketCount, ReceivedFile
from cucmd.service.readers import ROLES, Readers
from cucmd.worker.workers import open_workers
from rig.killed import KILLS, make_dice
from rig.packed import tgz
from rig.quiet import wait_until
from rig.worker_processes import forked_pids, read_memory
from unit.cases.coverages import NOW, WHOLE, log4j, opened, succeeded

TESTS = str(Path(__file__).parents[1])
MANY = 300_000


@asynccontextmanager
async def readers_in(folder: Path, **roles: str) -> AsyncIterator[Readers]:
    """Opens readers. roles: those that differ from the daemon's."""
    async with open_workers(folder, {**ROLES, **roles}, more_modules=TESTS) as workers:
        yield Readers(workers)


def capture_of(path: Path, packets: int) -> Path:
    """Writes a capture of packets of one byte."""
    record = struct.pack("<IIII", 1, 2, 1, 60) + b"x"
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + record * packets)
    return path


def put(folder: Path, name: str, content: bytes) -> ReceivedFile:
    (folder / "node").mkdir(exist_ok=True)
    (folder / "node" / name).write_bytes(content)
    return ReceivedFile("node", f"node/{name}", len(content), closed=True)


Read = Callable[[Readers], Awaitable[object]]


def packets(folder: Path, times: int = 1) -> tuple[Read, object]:
    paths = [capture_of(folder / "1.cap", 5), capture_of(folder / "2.cap", MANY)] * times
    return lambda readers: readers.count_packets(folder, paths, 10 * MANY), [
        PacketCount(5),
        PacketCount(MANY),
    ]


def archives(folder: Path, times: int = 1) -> tuple[Read, object]:
    contents = {"small.tgz": tgz({"a": b"x" * 700}), "large.tgz": tgz({"zeros": bytes(10**8)})}
    contents["cut.tgz"] = contents["small.tgz"][:-1]
    contents["other"] = b"a log\n"
    files = [put(folder, name, content) for name, content in contents.items()] * times
    return lambda readers: readers.read_to_end(
        folder / "node", files, archives=True, announced=0
    ), [
        FileRead(contents=Contents(1, 700)),
        FileRead(contents=Contents(1, 10**8)),
        FileRead(wrong="ends before the end of its gzip"),
        FileRead(),
    ]


# kind -> a function that makes files; it returns what reads them, and the result. This takes some
# tenths of a second, and LONG times as much for LONG times the files.
KINDS = {"packets": packets, "archives": archives}
LONG = 100
each_kind = pytest.mark.parametrize("kind", KINDS)


async def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    await trio.to_thread.run_sync(wait_until, condition, within)


@pytest.mark.long
@each_kind
async def test_killed_reader_is_replaced(tmp_path: Path, kind: str) -> None:
    (read, answer), dice = KINDS[kind](tmp_path), make_dice()
    async with readers_in(tmp_path) as readers:
        assert await read(readers) == answer
        await until(lambda: forked_pids() == [])
        before = os.listdir("/proc/self/fd")
        for _ in range(KILLS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_one, dice)
                assert await read(readers) == answer
                nursery.cancel_scope.cancel()
        await until(lambda: forked_pids() == [])
        assert os.listdir("/proc/self/fd") == before


async def kill_one(dice: random.Random) -> None:
    """Kills one reader, or none if all reading ends first."""
    while not forked_pids():  # noqa: ASYNC110  another process announces nothing
        await trio.sleep(0.01)
    await trio.sleep(dice.random() / 5)
    with suppress(ProcessLookupError, IndexError):  # it has ended
        os.kill(dice.choice(forked_pids()), signal.SIGKILL)


@each_kind
async def test_cancel_ends_readers(tmp_path: Path, kind: str) -> None:
    read, _ = KINDS[kind](tmp_path, LONG)
    async with readers_in(tmp_path) as readers, trio.open_nursery() as nursery:
        nursery.start_soon(read, readers)
        await until(lambda: forked_pids() != [])
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await until(lambda: forked_pids() == [], within=1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read its memory")
@pytest.mark.parametrize("kind", ["packets", "archives"])
async def test_readers_hold_no_password(tmp_path: Path, kind: str) -> None:
    password = f"Secret-of-{tmp_path.name}".encode()
    read, _ = KINDS[kind](tmp_path, LONG)
    async with readers_in(tmp_path) as readers, trio.open_nursery() as nursery:
        nursery.start_soon(read, readers)
        await until(lambda: forked_pids() != [])
        parts = [part for pid in forked_pids() for part in read_memory(pid)]
        nursery.cancel_scope.cancel()
    assert any(parts)
    assert not any(password in part for part in parts)
    assert any(password in part for part in read_memory(os.getpid()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read its memory")
@pytest.mark.parametrize("lie", ["send_nonsense", "say_words"])
async def test_wrong_frame_is_no_answer(
    tmp_path: Path, lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with readers_in(tmp_path, **dict.fromkeys(ROLES, f"rig.worker_roles:{lie}")) as readers:
        (one,) = await readers.count_packets(tmp_path, [tmp_path / "x"], 1000)
        assert one.uncounted
        log = put(tmp_path, "a.gz", b"")
        (read,) = await readers.read_to_end(tmp_path / "node", [log], archives=False, announced=0)
        assert read.unread
    assert str(tmp_path / "node") in caplog.messages[-1]


@pytest.mark.long
async def test_slow_gzip_is_left_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cucmd.service.readers._SPARE", 1)
    monkeypatch.setattr("cucmd.service.readers._PACKED_A_SECOND", 10**9)
    bomb = gzip.compress(bytes(10**8), 1) * 60
    contents = {"whole.gz": gzip.compress(b"a log\n"), "bomb.gz": bomb, "cut.gz": bomb[:1000]}
    files = [put(tmp_path, name, content) for name, content in contents.items()]
    async with readers_in(tmp_path) as readers:
        read = await readers.read_to_end(tmp_path / "node", files, archives=False, announced=0)
    assert read[0] == FileRead()
    assert read[1].unread
    assert read[2].wrong


@pytest.mark.long
async def test_slow_traces_leave_coverage_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines jump across midnight in turns, so that the reader reads all of them, which takes 10
    s.
    """
    monkeypatch.setattr("cucmd.cases.coverage_reader._SECONDS", 1)
    head = f"28131994.000 |{NOW:%H:%M:%S}.000 |FileHead |UTC:+00:00,Date: {NOW:%Y/%m/%d}, x\n"
    lines = b"28131995.000 |00:00:30.000 |\n28131995.000 |23:59:30.000 |\n" * 3_000_000
    traces = {TRACES: "cucmd.reading.node_traces:read_traces"}
    async with open_workers(tmp_path, traces) as workers, opened(tmp_path, workers) as cases:
        await cases.job(succeeded("odd"), succeeded("pub"))
        await cases.file("odd/SDL.txt.gz", gzip.compress(head.encode() + lines, 1))
        await cases.file("pub/a.log", log4j("12:00", "15:10"))
        said = await cases.looked_at()
    assert said["pub"].coverage == WHOLE
    assert said["odd"].coverage is not None
    assert said["odd"].coverage.startswith("coverage unknown")
    assert "takes longer" in said["odd"].coverage
