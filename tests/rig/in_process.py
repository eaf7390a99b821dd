"""Reads traces in this process. A stand-in for the worker processes of the daemon."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from cucmd.job.coverage import Covered
from cucmd.reading.node_traces import NodeReading
from cucmd.worker.frames import ProcessLimits, ReadTraces, TracePage, TracesRead, encode_frame


class InProcess:
    """Stands in for `Workers`.

    before  called with the names of all files before an answer is given
    answer  the answer of each process, whatever it has read
    limits  the limits of each worker that was begun
    """

    def __init__(self) -> None:
        self.before: Callable[[list[str]], Awaitable[None]] | None = None
        self.answer: Covered | None = None
        self.limits: list[ProcessLimits] = []

    @property
    def begun(self) -> int:
        return len(self.limits)

    @asynccontextmanager
    async def forked(
        self, _role: str, _folder: Path, limits: ProcessLimits
    ) -> AsyncIterator["_Worker"]:
        self.limits.append(limits)
        yield _Worker(self)


class _Worker:
    def __init__(self, made_by: InProcess) -> None:
        self._made_by = made_by
        self._frames: list[Any] = []

    async def send(self, frame: ReadTraces | TracePage) -> None:
        await trio.lowlevel.checkpoint()
        encode_frame(frame)  # raises WrongFrame if the frame is too long
        self._frames.append(frame)

    async def receive(self, _decoder: object) -> TracesRead:
        asked, *pages, last = self._frames
        assert not last.files
        files = [one for page in pages for one in page.files]
        if self._made_by.before is not None:
            await self._made_by.before([name for _, name in files])
        reading = NodeReading(asked)
        for path, name in files:
            reading.read_file(path, name)
        return TracesRead(self._made_by.answer or reading.covered())
