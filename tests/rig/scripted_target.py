"""Stands in for parts of the daemon in unit tests: an upload target, readers, a file writer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import trio

from cucmd.job.failure import Failure
from cucmd.node.file_writer import AppendedFile
from cucmd.reading.completeness import read_file
from cucmd.reading.packets import count_packets_at
from cucmd.received_file import FileRead, PacketCount, ReceivedFile

T = TypeVar("T")


class Readers:
    """Reads files in this process, not in worker processes."""

    async def count_packets(
        self, folder: Path, paths: Sequence[Path], most: int
    ) -> list[PacketCount]:
        await trio.lowlevel.checkpoint()
        counts: list[PacketCount] = []
        for path in paths:
            counts.append(count_packets_at(path, most - sum(one.count for one in counts)))
        return counts

    async def read_to_end(
        self, folder: Path, files: Sequence[ReceivedFile], *, archives: bool, announced: int
    ) -> list[FileRead]:
        await trio.lowlevel.checkpoint()
        return [read_file(str(folder.parent / file.path), archive=archives) for file in files]


class WritesAtOnce:
    """Stands in for a `FileWriter`, without a thread, for tests with virtual time.

    waiting: how many bytes seem to wait for the disk
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._errors: dict[AppendedFile, Exception] = {}

    def append(self, file: AppendedFile, data: bytes) -> None:
        try:
            file.append(data)
        except Exception as error:
            self._errors[file] = error

    async def written(self, file: AppendedFile) -> None:
        self.append(file, b"")
        if file in self._errors:
            raise self._errors.pop(file)

    async def close(self, file: AppendedFile) -> None:
        try:
            await self.written(file)
        finally:
            file.close()


class Target:
    """Stands in for an upload target that a script fills.

    node, prefix: the node and the beginning of the path of each received file
    """

    username, password, directory = "n0123456789ab", "OneTimeSecret", "/"

    def __init__(self, node: str = "", prefix: str = "") -> None:
        self._node = node
        self._prefix = prefix
        self.came: list[ReceivedFile] = []
        self.bytes_received = 0
        self.last_activity = trio.current_time()
        self.logins = 0
        self.wrong_logins = 0
        self.refused = 0
        self.refused_why = ""
        self.refusal: Failure | None = None
        self.revoked = False
        self.closed = False
        self.files_closed = trio.Event()
        self.files_closed.set()

    @property
    def files_received(self) -> int:
        return sum(file.closed for file in self.came)

    def files(self) -> tuple[ReceivedFile, ...]:
        return tuple(self.came)

    def receive(self, size: int) -> None:
        """Notes a login and some bytes of a file."""
        self.logins += 1
        self.bytes_received += size
        self.last_activity = trio.current_time()

    def store(self, path: str, size: int, *, closed: bool = True) -> None:
        self.receive(size)
        path = self._prefix + path
        self.came.append(ReceivedFile(self._node, path, size, "0" * 64, closed))

    def put(self, folder: Path, name: str, content: bytes) -> None:
        """Writes a whole file into `folder`, the folder of the task, and notes it."""
        (folder / name).write_bytes(content)
        self.store(f"{folder.name}/{name}", len(content))

    async def wait_files_closed(self) -> None:
        await self.files_closed.wait()

    def revoke(self) -> None:
        self.revoked = True

    async def aclose(self) -> None:
        self.revoke()
        self.closed = True
        await trio.lowlevel.checkpoint()


class DefectiveTarget(Target):
    """Raises an error, as a defect would, when it is asked for its files."""

    def files(self) -> tuple[ReceivedFile, ...]:
        raise ZeroDivisionError("a defect")
