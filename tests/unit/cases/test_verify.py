"""Files on disk against their checksums, in a thread that gives way to everything else."""

import errno
import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from cucmd.cases.verify import Verifier, _Reader
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile

DATA = bytes(3 * 1024 * 1024)


class Records:
    """The part of the store that is read."""

    def __init__(self, files: Sequence[ReceivedFile]) -> None:
        self._files = files

    async def files_after(
        self, job_id: str, after: tuple[str, str], limit: int
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


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the filter of system calls of our unit has it."""

    def refuse(*_: int) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "setpriority", refuse)


@pytest.mark.usefixtures("refused")
async def test_a_thread_whose_priority_may_not_be_lowered_verifies_too(
    tmp_path: Path, files: list[ReceivedFile]
) -> None:
    assert await wrong_ones(tmp_path, files) == ["b", "c", "d"]


class Rests(threading.Event):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.count += 1
        return self.is_set()


@pytest.mark.parametrize("may", [True, False])
def test_it_rests_where_its_priority_is_that_of_the_others(
    tmp_path: Path, may: bool, request: pytest.FixtureRequest
) -> None:
    """In a thread: what is lowered stays so."""
    if not may:
        request.getfixturevalue("refused")
    file, rests, reader = recorded(tmp_path, "a"), Rests(), _Reader()

    def read() -> None:
        reader.lower_priority()
        assert reader.wrong(rests, tmp_path / file.path, file) is None

    with ThreadPoolExecutor(1) as thread:
        thread.submit(read).result()
    assert rests.count == (0 if may else 3)
