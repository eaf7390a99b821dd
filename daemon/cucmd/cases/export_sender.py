"""Sends an export to its client, by a process that gets the client's own connection.

The process (`reading/job_files.py`) may only open files in the directory of the job. The daemon
sends it the parts of the tar, a page at a time. An export is cut off if the client reads fewer than
`LEAST` bytes in `SECONDS`, because a job cannot be deleted while it is exported.
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
from cucmd.worker import frames
from cucmd.worker.process import Worker, WorkerEnded
from cucmd.worker.workers import Workers

# The role of such a process, for `Workers.forked`.
EXPORT = "export"
LEAST, SECONDS = 64 * 1024, 60.0
_LIMITS = frames.ProcessLimits(memory=256 * 1024**2)
SendParts: TypeAlias = Callable[
    [AsyncGenerator[list[frames.ExportPart], None], trio.abc.Stream], Awaitable[None]
]

_MESSAGE = msgspec.msgpack.Decoder(frames.FromExporting)


class CutOff(Exception):
    """Raised if an export ended before all of it was sent. The text says why."""


@asynccontextmanager
async def file_process(workers: Workers, role: str, directory: Path) -> AsyncIterator[Worker]:
    """Forks a process that may read the files in the directory.

    Raises `OSError` if no process can be forked, or if it ends before the body of the context.
    """
    try:
        async with workers.forked(role, directory, _LIMITS) as worker:
            yield worker
    except WorkerEnded as error:
        raise OSError(str(error)) from error


class ExportSender:
    """Sends exports. Files that prove to be damaged while they are sent are noted in `damaged`."""

    def __init__(self, workers: Workers, damaged: DamagedFiles) -> None:
        self._workers = workers
        self._damaged = damaged

    @asynccontextmanager
    async def ready(self, job_id: str, directory: Path) -> AsyncIterator[SendParts]:
        """Yields a function that sends the parts of a tar over a connection.

        Nothing else may use the connection from then on. The function raises `CutOff`,
        `StoreFailed` and `OSError`. `ready` raises `OSError` if no process can be forked.
        """
        async with file_process(self._workers, EXPORT, directory) as worker:

            async def send(
                pages: AsyncGenerator[list[frames.ExportPart], None], stream: trio.abc.Stream
            ) -> None:
                assert isinstance(stream, trio.SocketStream)
                descriptor = stream.socket.fileno()
                await worker.send_descriptor(descriptor)
                damaged = await _send_parts(worker, pages, descriptor)
                if damaged is not None:
                    path = os.fsdecode(damaged.path).removeprefix(f"{directory}/")
                    self._damaged.note(job_id, path, damaged.why)
                    raise CutOff(f"job {job_id}: {path!a} {damaged.why}")

            yield send


async def _send_parts(
    worker: Worker, pages: AsyncGenerator[list[frames.ExportPart], None], connection: int
) -> frames.ExportDamaged | None:
    """Sends all parts. Returns a file that is damaged, or None if all parts were sent."""
    bytes_sent = bytes_read = 0
    deadline = trio.current_time() + SECONDS
    async with aclosing(pages):
        while True:
            with trio.move_on_at(deadline) as time_up:
                await worker.wait_readable()
            for message in worker.receive_arrived(_MESSAGE):
                if isinstance(message, frames.ExportDamaged):
                    return message
                bytes_sent = message.size
                if message.wants:
                    parts = await anext(pages, None)
                    if parts is None:
                        return None
                    await worker.send(frames.ExportParts(tuple(parts)))
            if time_up.cancelled_caught:
                # TIOCOUTQ returns the memory that the unread bytes occupy. If a client is slow, the
                # socket accepts more bytes only after the client has read most of these.
                (unread,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
                before, bytes_read = bytes_read, bytes_sent - unread
                if bytes_read - before < LEAST:
                    raise CutOff(f"fewer than {LEAST} bytes were read in {SECONDS:g} s")
                deadline += SECONDS
