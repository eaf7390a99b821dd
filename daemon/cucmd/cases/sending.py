"""Sends an export to its client by a process that gets the client's own connection.

The process (`reading/exported.py`) may open only what is in the directory of the job. It is told
what to send, a page at a time, and ends with the export. A client that takes fewer than `LEAST`
bytes in `SECONDS` loses its export, so that nobody can hold a job for ever.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from cucmd.cases.damaged import DamagedFiles
from cucmd.worker.frames import (
    ExportDamaged,
    ExportPart,
    ExportParts,
    FromExporting,
    ProcessLimits,
)
from cucmd.worker.process import Worker, WorkerEnded
from cucmd.worker.workers import Workers

# What such a process does, by which the first process knows it.
EXPORT = "export"
LEAST, SECONDS = 64 * 1024, 60.0
_LIMITS = ProcessLimits(memory=256 * 1024**2)
SendParts: TypeAlias = Callable[
    [AsyncGenerator[list[ExportPart], None], trio.abc.Stream], Awaitable[None]
]

_TOLD = msgspec.msgpack.Decoder(FromExporting)


class CutOff(Exception):
    """An export has ended before all of it was sent. The text says why."""


@asynccontextmanager
async def process_of(workers: Workers, role: str, directory: Path) -> AsyncIterator[Worker]:
    """Forks a process that may read what is in the directory. Raises `OSError` if there is none, or
    if it ends before the body does.
    """
    try:
        async with workers.forked(role, directory, _LIMITS) as worker:
            yield worker
    except WorkerEnded as error:
        raise OSError(str(error)) from error


class Sender:
    """Sends exports. What is found to be damaged on the way is noted in `damaged`."""

    def __init__(self, workers: Workers, damaged: DamagedFiles) -> None:
        self._workers = workers
        self._damaged = damaged

    @asynccontextmanager
    async def ready(self, job_id: str, directory: Path) -> AsyncIterator[SendParts]:
        """Yields a function that sends parts over a connection, of which nothing else is sent or
        read any more. It raises `CutOff`, `StoreFailed`, `OSError`.

        Raises `OSError` where no process can be had: that is known before the first byte.
        """
        async with process_of(self._workers, EXPORT, directory) as worker:

            async def send(
                pages: AsyncGenerator[list[ExportPart], None], stream: trio.abc.Stream
            ) -> None:
                assert isinstance(stream, trio.SocketStream)
                descriptor = stream.socket.fileno()
                await worker.send_descriptor(descriptor)
                damaged = await _send_all(worker, pages, descriptor)
                if damaged is not None:
                    path = os.fsdecode(damaged.path).removeprefix(f"{directory}/")
                    self._damaged.note(job_id, path, damaged.why)
                    raise CutOff(f"job {job_id}: {path!a} {damaged.why}")

            yield send


async def _send_all(
    worker: Worker, pages: AsyncGenerator[list[ExportPart], None], connection: int
) -> ExportDamaged | None:
    """Returns the file that is not as it was received; None: all of it was sent."""
    moved = taken = 0
    deadline = trio.current_time() + SECONDS
    async with aclosing(pages):
        while True:
            with trio.move_on_at(deadline) as minute:
                await worker.wait_readable()
            for told in worker.receive_arrived(_TOLD):
                if isinstance(told, ExportDamaged):
                    return told
                moved = told.size
                if told.wants:
                    parts = await anext(pages, None)
                    if parts is None:
                        return None
                    await worker.send(ExportParts(tuple(parts)))
            if minute.cancelled_caught:
                # What waits in the connection, as the kernel counts the memory for it: a slow
                # client has to read most of that before there is room for more.
                (unread,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
                before, taken = taken, moved - unread
                if taken - before < LEAST:
                    raise CutOff(f"fewer than {LEAST} bytes were read in {SECONDS:g} s")
                deadline += SECONDS
