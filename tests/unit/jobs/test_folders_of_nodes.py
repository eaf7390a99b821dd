"""A node's folder meets no other node's, and nothing of ours in the job's directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cucmd.config import Config
from cucmd.job.job import Job
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login
from cucmd.node.ports import NodeTask, Report
from cucmd.plan.planner import Planner
from rig.asking import plan as planned_by
from rig.inspection import manifest
from rig.scripted_target import Target
from rig.supervised import SupervisorHarness, planned, statuses, supervisor_harness

LOGIN = Login("administrator", "secret")


async def brings_one(task: NodeTask, report: Report) -> tuple[str, ...]:
    target = Target(task.node, f"{task.folder.name}/files/")
    report.upload_target(target)
    target.store("core.1", 4)
    report.complete_files(target.files())
    return ()


async def test_folders_are_synced_before_contact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced, at_contact = os.fsync, set(), set()

    def watched(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    async def contacted(task: NodeTask, report: Report) -> tuple[str, ...]:
        at_contact.update(synced)
        return ()

    monkeypatch.setattr(os, "fsync", watched)
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = contacted
        job_id = await harness.start("a")
        await harness.ended(job_id)
    job = tmp_path / "jobs" / job_id
    assert {job.parent, job, job / "a"} <= at_contact


async def collected(harness: SupervisorHarness, *nodes: str) -> Job:
    """Runs a job over these nodes to its end, as a request plans it. Each brings one file."""
    planner = Planner(Config(), {}, harness.supervisor.directory)
    request = StartRequest(nodes, LOGIN, Collection(paths=("x",)))
    job, tasks = planned_by(planner, request)
    harness.behaviours = dict.fromkeys(nodes, brings_one)
    await harness.supervisor.start(planned(job, tasks))
    return await harness.ended(job.job_id)


async def test_nodes_named_like_our_files(
    tmp_path: Path,
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job = await collected(harness, "manifest.json", "SHA256SUMS", "cucm-pub")
    directory = tmp_path / "jobs" / job.job_id
    assert statuses(job) == ["succeeded"] * 3
    assert sorted(line["path"] for line in manifest(directory)) == [
        "@SHA256SUMS/files/core.1",
        "@manifest.json/files/core.1",
        "cucm-pub/files/core.1",
    ]
