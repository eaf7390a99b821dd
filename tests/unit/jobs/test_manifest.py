"""The manifest on disk is what the store has, each time a job closes."""

import errno
import json
import os
from math import inf
from pathlib import Path

import pytest

from cucmd.jobs.manifest import NAME, write_manifest
from cucmd.received_file import ReceivedFile
from rig.supervised import SupervisorHarness, fail_calls, supervisor_harness

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


async def test_lists_each_file_once(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        _, directory = await closed_job(harness, A, B)
    assert listed(directory) == [(SHOWN, 2**40, False), (A.path, 4, True)]
    first = json.loads((directory / NAME).read_text())[1]
    assert first == {"node": "a", "path": A.path, "size": 4, "sha256": A.sha256, "complete": True}


async def test_missing_manifest_is_written(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        _, directory = await closed_job(harness, A)
    (directory / NAME).unlink()
    (tmp_path / "jobs" / "of nobody").mkdir()
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
    assert listed(directory) == [(A.path, 4, True)]
    assert os.listdir(tmp_path / "jobs" / "of nobody") == []


async def test_failed_replacement_removes_manifest(
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


async def test_unreadable_store_leaves_no_part(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id, directory = await closed_job(harness, A)
        fail_calls(harness.store, "files", inf)
        await write_manifest(harness.store, job_id, directory)
    assert not list(directory.glob("*manifest*"))
    assert not list(directory.glob(".*"))
