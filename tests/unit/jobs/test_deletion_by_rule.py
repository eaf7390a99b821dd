"""Which jobs a rule deletes: what it means as each is deleted, and not as the list was made."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.cases.retention import Prune
from cucmd.config import Retention
from cucmd.failure import Code
from cucmd.jobs.deletion import Deletions
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from rig.supervised import call_after, fails_with
from unit.jobs.deletions import EVERYTHING, opened


@pytest.mark.parametrize("changed", ["tried again", "labelled"])
async def test_changed_job_is_not_deleted(tmp_path: Path, changed: str) -> None:
    """While a large one is deleted, another is tried again and ends: it is the newest then."""
    async with opened(tmp_path) as harness:
        harness.supervised.behaviours = {"a": fails_with(Code.STALLED)}
        older, newer = await harness.job(), await harness.job()

        async def change_meanwhile(job_id: str) -> None:
            if job_id == newer and changed == "labelled":
                await harness.supervisor.relabel(older, lambda job: replace(job, labels={"a": "1"}))
            elif job_id == newer:
                await harness.try_again(older)

        call_after(harness.store, "begin_deletion", change_meanwhile)
        gone = [one.job.job_id for one in await harness.deletions.prune(EVERYTHING)]
        assert gone == ([newer, older] if changed == "labelled" else [newer])
        if changed == "tried again":
            assert (await harness.supervisor.find(older)).retries == 1


async def test_label_keep(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        kept, other = await harness.job(labels={"keep": ""}), await harness.job()
        assert [one.job.job_id for one in await harness.deletions.list_prunable(EVERYTHING)] == [
            other
        ]
        await harness.deletions.apply_retention(Retention(jobs=1))
        assert await harness.left() == [kept, other]
        await harness.deletions.prune(EVERYTHING)
        assert await harness.left() == [kept]
        await harness.deletions.delete(kept, record=True)
        assert await harness.left() == []


@pytest.mark.parametrize("changed", ["labelled", "without files"])
async def test_unselected_job_stays(tmp_path: Path, changed: str) -> None:
    async def work(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.add_own_file(ReceivedFile("a", "a/files/x.txt", 1))
        return ()

    async with opened(tmp_path) as harness:
        harness.supervised.behaviours = {"a": work}
        older, newer = [await harness.job(labels={"case": "1"}) for _ in range(2)]

        async def change_meanwhile(job_id: str) -> None:
            if job_id == newer and changed == "labelled":
                await harness.supervisor.relabel(older, lambda job: replace(job, labels={}))
            elif job_id == newer:  # others are deleted between the two
                await Deletions(harness.supervisor, harness.store).delete(older, record=False)

        call_after(harness.store, "begin_deletion", change_meanwhile)
        rule = Prune(labels={"case": "1"}, larger_than=0)
        assert [one.job.job_id for one in await harness.deletions.prune(rule)] == [newer]
        assert (await harness.supervisor.find(older)).job_id == older


async def test_list_prunable_deletes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        ids = [await harness.job() for _ in range(3)]
        meant = await harness.deletions.list_prunable(Prune(keep=1))
        assert [one.job.job_id for one in meant] == [ids[1], ids[0]]
        assert await harness.left() == ids
        assert await harness.deletions.prune(Prune(keep=1)) == meant
        assert await harness.left() == ids[2:]
