"""An export is sent by a process: what ends it, and what is remembered."""

import math
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.cases.damaged import DamagedFiles
from cucmd.cases.export_sender import LEAST, SECONDS, CutOff, ExportSender
from cucmd.worker.frames import ExportDamaged, ExportMoved, ExportPart, FromExporting
from cucmd.worker.process import Cause, WorkerEnded

JOB = "0a1b2c3d4e5f"
FOLDER = Path("/jobs") / JOB
WANTS = ExportMoved(0, wants=True)


class Process:
    """Says what it is given, each after so many seconds, and then nothing."""

    def __init__(self, *said: tuple[float, FromExporting | WorkerEnded]) -> None:
        times = accumulate((seconds for seconds, _ in said), initial=trio.current_time())
        self._said = deque(zip(list(times)[1:], (one for _, one in said), strict=True))
        self.sent: list[Any] = []

    @asynccontextmanager
    async def forked(self, *_: object) -> AsyncIterator["Process"]:
        yield self

    async def send_descriptor(self, _descriptor: int) -> None: ...

    async def send(self, frame: object) -> None:
        self.sent.append(frame)

    async def wait_readable(self) -> None:
        at, said = self._said[0] if self._said else (math.inf, WANTS)
        await trio.sleep_until(at)
        if isinstance(said, WorkerEnded):
            raise said

    def receive_arrived(self, _decoder: object) -> list[FromExporting]:
        if self._said and trio.current_time() >= self._said[0][0]:
            return [self._said.popleft()[1]]
        return []


async def parts() -> AsyncGenerator[list[ExportPart], None]:
    yield [ExportPart(b"a")]
    yield [ExportPart(b"b")]


async def sent(process: Process, damaged: DamagedFiles | None = None) -> float:
    """Returns the seconds that it took."""
    began = trio.current_time()
    workers: Any = process
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        async with ExportSender(workers, damaged or DamagedFiles()).ready(JOB, FOLDER) as send:
            try:
                await send(parts(), trio.SocketStream(ours))
            finally:
                took = trio.current_time() - began
    return took


async def test_it_ends_when_all_is_sent(autojump_clock):
    process = Process((0, WANTS), (1, WANTS), (1, ExportMoved(5, wants=True)))
    assert await sent(process) == 2
    assert [one.parts[0].head for one in process.sent] == [b"a", b"b"]


async def test_a_slow_client_is_cut_off(autojump_clock):
    began = trio.current_time()
    slow = [(SECONDS / 4, ExportMoved(number * (LEAST // 5))) for number in range(9)]
    with pytest.raises(CutOff):
        await sent(Process((0, WANTS), *slow))
    assert trio.current_time() - began == SECONDS


async def test_64_kib_a_minute_is_enough(autojump_clock):
    moved = [(SECONDS - 0.1, ExportMoved(number * LEAST)) for number in range(1, 100)]
    ends = [(0.0, WANTS), (0.0, WANTS)]
    assert await sent(Process((0, WANTS), *moved, *ends)) == pytest.approx(99 * (SECONDS - 0.1))


async def test_a_damaged_file_is_remembered(autojump_clock):
    damaged = DamagedFiles()
    found = ExportDamaged(os.fsencode(FOLDER / "a/files/x"), "is gone")
    with pytest.raises(CutOff, match="is gone"):
        await sent(Process((0, WANTS), (0, found)), damaged)
    assert damaged.of(JOB) == {"a/files/x": "is gone"}


async def test_a_lost_process_is_an_error(autojump_clock):
    with pytest.raises(OSError, match="killed"):
        await sent(Process((0, WorkerEnded(Cause.LOST, "it was killed"))))


def test_a_whole_file_is_forgotten():
    damaged = DamagedFiles()
    damaged.note(JOB, "a", "is gone")
    damaged.note(JOB, "a", None)
    assert damaged.of(JOB) == {}
