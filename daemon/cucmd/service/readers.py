"""Has processes read what nodes have made (`reading/`): the `Readers` of node/ports.py.

A process is told of one file after the other, so where it ends before its work is done, it is known
at which. That file has no answer but why, and another process goes on behind it, a few times. Where
it was killed by somebody, the same file is tried again.
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

# What such processes do, by which the first process knows it.
PACKETS, FILES = "packets", "files"
# role -> what does it, as `open_workers` takes it
ROLES = {
    PACKETS: "cucmd.reading.packets:count_all",
    FILES: "cucmd.reading.whole:read_files",
}

# Processes at a time of each role: a few that take long do not keep the others waiting.
_AT_ONCE = 8
# Processes that are tried for the files of one node.
_TRIES = 3
# Characters of why a file was not read, as `received_file.Why` has them.
_MOST_WHY = 200
# Bytes; each takes 10 MB, beside what it shares with the first process.
_MEMORY = 256 * 1024**2
# Seconds of the processor that are always given: a process waits for a disk in none of them.
_SPARE = 5
# A packet takes some microseconds.
_PACKETS_A_SECOND = 50_000

# Bytes of an archive or gzip, and bytes in it that were announced. Logs pack to a tenth, now and
# then to a thirtieth, and 300 MB of them are unpacked in a second; a core file packs to a
# thousandth.
_PACKED_A_SECOND, _UNPACKED_A_SECOND = 5_000_000, 50_000_000
_MOST_ANNOUNCED = 16 * 1024**3

_COUNTED = msgspec.msgpack.Decoder(PacketCount)
_READ = msgspec.msgpack.Decoder(FileRead)

_log = logging.getLogger(__name__)
T = TypeVar("T")
F = TypeVar("F")


class Readers:
    """Has processes read what nodes have made. What a cancel finds at work is killed by it."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._room = {role: trio.CapacityLimiter(_AT_ONCE) for role in ROLES}

    async def count_packets(
        self, folder: Path, paths: Sequence[Path], most: int
    ) -> list[PacketCount]:
        left = most

        async def count(worker: Worker, path: Path) -> PacketCount:
            nonlocal left
            await worker.send(CountPackets(str(path), left))
            one = await worker.receive(_COUNTED)
            if one.count > left:
                raise WorkerEnded(Cause.WRONG, "it counted more packets than it was to")
            left -= one.count
            return one

        def seconds(_: Sequence[Path]) -> int:
            return _SPARE + most // _PACKETS_A_SECOND

        said = await self._each(PACKETS, folder, paths, seconds, count)
        return [PacketCount(0, uncounted=one) if isinstance(one, str) else one for one in said]

    async def read_to_end(
        self, folder: Path, files: Sequence[ReceivedFile], *, archives: bool, announced: int
    ) -> list[FileRead]:
        async def read(worker: Worker, file: ReceivedFile) -> FileRead:
            path = str(folder.parent / file.path)
            await worker.send(ReadToEnd(path, archives))
            one = await worker.receive(_READ)
            if one.error is not None:
                raise OSError(one.error, os.strerror(one.error), path)
            return one

        def seconds(left: Sequence[ReceivedFile]) -> int:
            packed = sum(file.size for file in left) // _PACKED_A_SECOND
            return _SPARE + packed + min(announced, _MOST_ANNOUNCED) // _UNPACKED_A_SECOND

        said = await self._each(FILES, folder, files, seconds, read)
        return [FileRead(unread=one) if isinstance(one, str) else one for one in said]

    async def _each(
        self,
        role: str,
        folder: Path,
        files: Sequence[F],
        seconds: Callable[[Sequence[F]], int],
        read: Callable[[Worker, F], Awaitable[T]],
    ) -> list[T | str]:
        """Returns what `read` gives for each file, or why there is nothing.

        seconds: of the processor, for files that are to be read.
        """
        said: list[T | str] = []
        tries = _TRIES
        while files_left := files[len(said) :]:
            tries -= 1
            limits = ProcessLimits(memory=_MEMORY, seconds=seconds(files_left))
            try:
                async with (
                    self._room[role],
                    self._workers.forked(role, folder, limits) as worker,
                ):
                    for file in files_left:
                        said.append(await read(worker, file))  # noqa: PERF401  kept at its end
            except WorkerEnded as error:
                why = str(error)[:_MOST_WHY]
                _log.warning("%s: a process that reads %s: %s", folder, role, why)
                if not tries:
                    said += [why] * (len(files) - len(said))
                elif error.how is not Cause.LOST:
                    said.append(why)
        return said
