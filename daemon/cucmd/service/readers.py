"""Lets worker processes read files from nodes: implements the `Readers` of node/ports.py.

The code that runs in the processes is in `reading/`. A process gets one file after the other. If
the process ends early, the file that it was reading has the reason as its result, and a new process
goes on with the next file, a limited number of times. If somebody else killed the process, the same
file is tried again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import trio

from cucmd.received_file import FileRead, PacketCount, ReceivedFile
from cucmd.worker.frames import CountPackets, ProcessLimits, ReadToEnd
from cucmd.worker.process import Cause, Worker, WorkerEnded
from cucmd.worker.workers import Workers

# The roles of the processes.
PACKETS, FILES = "packets", "files"
# role -> the function that the process runs, in the form that `open_workers` expects
ROLES = {
    PACKETS: "cucmd.reading.packets:count_packets_of_node",
    FILES: "cucmd.reading.completeness:read_files",
}

# The most processes of one role at the same time, so that a few slow ones do not block the others.
_MOST_PROCESSES = 8
# The most processes that are started for the files of one node.
_TRIES = 3
# The most characters of a reason: the limit of `received_file.Why`.
_MOST_WHY = 200
# The memory limit of a process in bytes. It needs 10 MB beside what it shares with the process that
# it was forked from.
_MEMORY = 256 * 1024**2
# Seconds of processor time that every process gets. Waiting for a disk does not count.
_SPARE = 5
# A packet takes some microseconds.
_PACKETS_A_SECOND = 50_000

# A process gets a second of processor time for so many bytes of the files, and another one for so
# many bytes of the unpacked files that the node announced. In a second, 300 MB of logs are
# unpacked. Logs are compressed to a tenth, sometimes to a thirtieth; core files to a thousandth.
_PACKED_A_SECOND, _UNPACKED_A_SECOND = 5_000_000, 50_000_000
_MOST_ANNOUNCED = 16 * 1024**3

_COUNTED = msgspec.msgpack.Decoder(PacketCount)
_READ = msgspec.msgpack.Decoder(FileRead)

_log = logging.getLogger(__name__)
T = TypeVar("T")
F = TypeVar("F")


class Readers:
    """Runs the processes. If a call is cancelled, its process is killed."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._room = {role: trio.CapacityLimiter(_MOST_PROCESSES) for role in ROLES}

    async def count_packets(
        self, folder: Path, paths: Sequence[Path], most: int
    ) -> list[PacketCount]:
        """Returns the number of packets in each capture file, or why it was not counted.

        most  the most packets that are counted in all files together
        """
        left = most

        async def count(worker: Worker, path: Path) -> PacketCount:
            nonlocal left
            await worker.send(CountPackets(str(path), left))
            counted = await worker.receive(_COUNTED)
            if counted.count > left:
                raise WorkerEnded(Cause.WRONG, "it counted more packets than it should")
            left -= counted.count
            return counted

        def seconds(_: Sequence[Path]) -> int:
            return _SPARE + most // _PACKETS_A_SECOND

        results = await self._read_each(PACKETS, folder, paths, seconds, count)
        return [PacketCount(0, uncounted=it) if isinstance(it, str) else it for it in results]

    async def read_to_end(
        self, folder: Path, files: Sequence[ReceivedFile], *, archives: bool, announced: int
    ) -> list[FileRead]:
        """Returns what was found in each file when it was read to its end.

        archives   whether to look into archives
        announced  the bytes of the unpacked files, as the node announced them

        Raises `OSError` if a file is gone or the disk fails.
        """

        async def read(worker: Worker, file: ReceivedFile) -> FileRead:
            path = str(folder.parent / file.path)
            await worker.send(ReadToEnd(path, archives))
            answer = await worker.receive(_READ)
            if answer.error is not None:
                raise OSError(answer.error, os.strerror(answer.error), path)
            return answer

        def seconds(left: Sequence[ReceivedFile]) -> int:
            packed = sum(file.size for file in left) // _PACKED_A_SECOND
            return _SPARE + packed + min(announced, _MOST_ANNOUNCED) // _UNPACKED_A_SECOND

        results = await self._read_each(FILES, folder, files, seconds, read)
        return [FileRead(unread=it) if isinstance(it, str) else it for it in results]

    async def _read_each(
        self,
        role: str,
        folder: Path,
        files: Sequence[F],
        seconds: Callable[[Sequence[F]], int],
        read: Callable[[Worker, F], Awaitable[T]],
    ) -> list[T | str]:
        """Returns the result of `read` for each file, or the reason why the file has none.

        seconds  returns the limit of processor time for reading the remaining files
        """
        results: list[T | str] = []
        tries = _TRIES
        while files_left := files[len(results) :]:
            tries -= 1
            limits = ProcessLimits(memory=_MEMORY, seconds=seconds(files_left))
            try:
                async with (
                    self._room[role],
                    self._workers.forked(role, folder, limits) as worker,
                ):
                    for file in files_left:
                        results.append(await read(worker, file))  # noqa: PERF401  an error keeps the others
            except WorkerEnded as error:
                why = str(error)[:_MOST_WHY]
                _log.warning("%s: a process that reads %s: %s", folder, role, why)
                if not tries:
                    results += [why] * (len(files) - len(results))
                elif error.cause is not Cause.LOST:
                    results.append(why)
        return results
