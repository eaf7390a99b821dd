"""Files on disk against their checksums, in a process."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cucmd.cases.damaged import DamagedFiles
from cucmd.cases.verify import CHECK, Verifier
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.worker.workers import open_workers

DATA = bytes(3 * 1024 * 1024)
JOB = "0a1b2c3d4e5f"
ROLES = {CHECK: "cucmd.reading.exported:check_files"}


class Records:
    """The part of the store that is read."""

    def __init__(self, files: Sequence[ReceivedFile]) -> None:
        self._files = files

    async def files(
        self, job_id: str, after: tuple[str, str], limit: int, *, one_node: bool
    ) -> Sequence[ReceivedFile]:
        return [file for file in self._files if (file.node, file.path) > after]

    async def alike(self, job_id: str) -> frozenset[bytes]:
        return frozenset()


def recorded(directory: Path, name: str, data: bytes = DATA) -> ReceivedFile:
    path = directory / "n/files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    checksum = hashlib.sha256(DATA).hexdigest()
    return ReceivedFile("n", f"n/files/{name}", len(DATA), checksum, True, True, 1)


@pytest.fixture
def files(tmp_path: Path) -> list[ReceivedFile]:
    files = [
        recorded(tmp_path / JOB, "a"),
        recorded(tmp_path / JOB, "b", bytes(len(DATA) - 1) + b"x"),
        recorded(tmp_path / JOB, "c", DATA[1:]),
        recorded(tmp_path / JOB, "d"),
    ]
    (tmp_path / JOB / files[3].path).unlink()
    return files


async def wrong_ones(
    folder: Path,
    files: Sequence[ReceivedFile],
    damaged: DamagedFiles,
    only: frozenset[str] | None = None,
) -> list[str]:
    nodes: Mapping[str, Node] = {"n": Node("n")}
    async with open_workers(folder, ROLES) as workers:
        verifier = Verifier(workers, Records(files), damaged)
        checked = [one async for one in verifier.verify(JOB, folder / JOB, nodes, only)]
    return [Path(file.path).name for file, _, wrong in checked if wrong is not None]


async def test_what_differs_is_remembered(tmp_path: Path, files: list[ReceivedFile]) -> None:
    damaged = DamagedFiles()
    assert await wrong_ones(tmp_path, files, damaged) == ["b", "c", "d"]
    assert damaged.of(JOB) == {
        "n/files/b": "has another checksum",
        "n/files/c": f"has {len(DATA) - 1} bytes, {len(DATA)} were received",
        "n/files/d": "is gone",
    }


async def test_only_named_files_are_read(tmp_path: Path, files: list[ReceivedFile]) -> None:
    damaged = DamagedFiles()
    assert await wrong_ones(tmp_path, files, damaged, frozenset({"n/a", "n/c"})) == ["c"]
    assert damaged.of(JOB).keys() == {"n/files/c"}
