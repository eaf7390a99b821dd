"""Files on disk against their checksums; the reading gives way to everything else."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import trio

from cucmd.cases.verify import Verifier
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile

DATA = bytes(3 * 1024 * 1024)


class Records:
    """The part of the store that is read."""

    def __init__(self, files: Sequence[ReceivedFile]) -> None:
        self._files = files

    async def files(
        self, job_id: str, after: tuple[str, str], limit: int, *, one_node: bool
    ) -> Sequence[ReceivedFile]:
        return [file for file in self._files if (file.node, file.path) > after]


def recorded(directory: Path, name: str, data: bytes = DATA) -> ReceivedFile:
    path = directory / "n/files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    checksum = hashlib.sha256(DATA).hexdigest()
    return ReceivedFile("n", f"n/files/{name}", len(DATA), checksum, True, True, 1)


async def wrong_ones(directory: Path, files: Sequence[ReceivedFile]) -> list[str]:
    nodes: Mapping[str, Node] = {"n": Node("n")}
    checked = [one async for one in Verifier(Records(files)).verify("j", directory, nodes)]
    assert [one.file for one in checked] == list(files)
    return [Path(one.file.path).name for one in checked if one.wrong is not None]


@pytest.fixture
def files(tmp_path: Path) -> list[ReceivedFile]:
    files = [
        recorded(tmp_path, "a"),
        recorded(tmp_path, "b", bytes(len(DATA) - 1) + b"x"),
        recorded(tmp_path, "c", DATA[1:]),
        recorded(tmp_path, "d"),
    ]
    (tmp_path / files[3].path).unlink()
    return files


async def test_what_differs_or_is_gone_is_named(tmp_path: Path, files: list[ReceivedFile]) -> None:
    assert await wrong_ones(tmp_path, files) == ["b", "c", "d"]


async def test_it_rests_after_each_piece_and_ends_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    file = recorded(tmp_path, "a")

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 2:
            scope.cancel()
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(trio, "sleep", rest)
    with trio.CancelScope() as scope:
        await wrong_ones(tmp_path, [file])
    assert scope.cancelled_caught
    assert len(rests) == 2
