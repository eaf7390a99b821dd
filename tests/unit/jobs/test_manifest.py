"""The manifest on disk is what the store has, each time a job closes."""

import errno
import json
import os
from pathlib import Path

import pytest

from cucmd.jobs.manifest import NAME, write_manifest
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed
from rig.supervised import SupervisorHarness, supervisor_harness

A = ReceivedFile("a", "a/files/core.1", 4, "00" * 32, closed=True, complete=True)
B = ReceivedFile("a", 'a/files/"caf\udce9\n.txt', 2**40, "11" * 32)
SHOWN = 'a/files/"caf\\xe9\n.txt'


async def closed_job(harness: SupervisorHarness, *files: ReceivedFile) -> tuple[str, Path]:
    job_id = await harness.start("a")
    await harness.store.save_files(job_id, files)
    assert await harness.closed() == ()
    return job_id, harness.tmp_path / "jobs" / job_id


def listed(directory: Path) -> list[tuple[str, int, bool]]:
    found = json.loads((directory / NAME).read_text())
    return [(file["path"], file["size"], file["complete"]) for file in found]


async def test_it_has_each_file_once(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        _, directory = await closed_job(harness, A, B)
    assert listed(directory) == [(SHOWN, 2**40, False), (A.path, 4, True)]
    first = json.loads((directory / NAME).read_text())[1]
    assert first == {"node": "a", "path": A.path, "size": 4, "sha256": A.sha256, "complete": True}


async def test_without_files_it_is_empty(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        _, directory = await closed_job(harness)
    assert listed(directory) == []


async def test_many_files_are_read_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cucmd.jobs.manifest.PAGE", 3)
    files = [ReceivedFile("a", f"a/files/{number}", number) for number in range(7)]
    async with supervisor_harness(tmp_path) as harness:
        _, directory = await closed_job(harness, *files)
    assert [size for _, size, _ in listed(directory)] == list(range(7))


async def test_a_closed_job_without_it_gets_it(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        _, directory = await closed_job(harness, A)
    (directory / NAME).unlink()
    (tmp_path / "jobs" / "of nobody").mkdir()
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
    assert listed(directory) == [(A.path, 4, True)]
    assert os.listdir(tmp_path / "jobs" / "of nobody") == []


async def test_it_is_written_before_the_job_is_closed(tmp_path: Path) -> None:
    """A kill in between leaves a job that the next start closes."""
    async with supervisor_harness(tmp_path) as harness:
        close, seen = harness.store.close_job, []

        async def look_first(job_id: str, *arguments: object) -> object:
            seen.append((tmp_path / "jobs" / job_id / NAME).exists())
            return await close(job_id, *arguments)

        harness.store.close_job = look_first
        await closed_job(harness, A)
    assert seen == [True]


async def test_one_that_cannot_be_replaced_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That of before a retry would not have all files. The job is closed nevertheless."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with supervisor_harness(tmp_path) as harness:
        job_id, directory = await closed_job(harness, A)
        with monkeypatch.context() as patch:
            patch.setattr("cucmd.jobs.manifest.replace_file", full)
            await write_manifest(harness.store, job_id, directory)
        assert not (directory / NAME).exists()
        assert f"job {job_id}: {NAME}" in caplog.text


async def test_a_store_that_cannot_be_read_leaves_no_part_of_it(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id, directory = await closed_job(harness, A)

        async def fails(*_: object) -> None:
            raise StoreFailed("disk I/O error")

        harness.store.files = fails
        await write_manifest(harness.store, job_id, directory)
    assert not list(directory.glob("*manifest*"))
    assert not list(directory.glob(".*"))
