"""Which jobs a rule deletes: what it means as each is deleted, and not as the list was made."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from cucmd.cases.retention import Prune
from cucmd.config import Retention
from cucmd.failure import Code
from cucmd.job.job import Job
from cucmd.jobs.deletion import Deletions
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from rig.supervised import fails_with
from unit.jobs.deletions import EVERYTHING, opened, removed_meanwhile


@pytest.mark.parametrize("changed", ["tried again", "labelled"])
async def test_a_job_that_has_changed_since_the_rule_found_it_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """While a large one is deleted, another is tried again and ends: it is the newest then."""
    async with opened(tmp_path) as harness:
        harness.supervised.behaviours = {"a": fails_with(Code.STALLED)}
        older, newer = await harness.job(), await harness.job()

        async def change_meanwhile(job_id: str) -> None:
            if job_id == newer and changed == "labelled":
                await harness.supervisor.relabel(older, lambda job: replace(job, labels={"a": "1"}))
            elif job_id == newer:
                await harness.try_again(older)

        removed_meanwhile(monkeypatch, change_meanwhile)
        gone = [one.job.job_id for one in await harness.deletions.prune(EVERYTHING)]
        monkeypatch.undo()
        assert gone == ([newer, older] if changed == "labelled" else [newer])
        if changed == "tried again":
            assert (await harness.supervisor.find(older)).retries == 1


async def test_of_jobs_that_end_at_once_those_that_ended_last_stay(tmp_path: Path) -> None:
    """A rule is applied as soon as one is closed."""
    free = trio.Event()

    async def work(task: NodeTask, report: Report) -> tuple[str, ...]:
        await free.wait()
        return ()

    ended: dict[str, Job] = {}
    async with opened(tmp_path) as harness:
        harness.supervised.behaviours = dict.fromkeys("abcde", work)
        with harness.supervised.feed.subscribe() as changes:
            async with trio.open_nursery() as nursery:
                harness.supervisor.on_closed = lambda job_id: nursery.start_soon(
                    harness.deletions.apply_retention, Retention(jobs=3)
                )
                for node in "abcde":
                    await harness.supervised.start(node)
                free.set()
                while len(ended) < 5:
                    job = (await changes.next()).job
                    ended |= {job.job_id: job} if job.closed and not job.files_deleted else {}
                await trio.testing.wait_all_tasks_blocked(0.01)
        last = sorted(ended.values(), key=lambda job: job.state.completed_at)[-3:]
        left = await harness.store.closed_jobs()
        assert [one.job_id for one in reversed(left)] == [job.job_id for job in last]


async def test_a_job_that_is_closed_late_is_as_old_as_its_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        close, late, go_on = harness.store.close_job, [], trio.Event()

        async def close_late(job_id: str, ended_at: float | None) -> Job | None:
            if not late:
                late.append(job_id)
                await go_on.wait()
            return await close(job_id, ended_at)

        harness.store.close_job = close_late
        first = await harness.supervised.start("a")
        await harness.supervised.ended(first)
        second = await harness.job()
        # Not even the other one goes, although the first is not listed yet.
        assert await harness.deletions.prune(Prune(keep=1)) == []
        await harness.deletions.apply_retention(Retention(jobs=1))
        go_on.set()
        await harness.supervisor.wait_closed(first)
        assert late == [first]
        assert [one.job_id for one in await harness.store.closed_jobs()] == [second, first]


async def test_a_job_with_the_label_keep_goes_by_name_only(tmp_path: Path) -> None:
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


async def test_a_label_that_is_set_while_others_are_pruned_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as harness:
        older, newer = await harness.job(), await harness.job()

        async def label_meanwhile(_job_id: str) -> None:
            await harness.supervisor.relabel(older, lambda job: replace(job, labels={"keep": "x"}))

        removed_meanwhile(monkeypatch, label_meanwhile)
        assert [one.job.job_id for one in await harness.deletions.prune(EVERYTHING)] == [newer]
        assert await harness.left() == [older]


@pytest.mark.parametrize("changed", ["labelled", "without files"])
async def test_a_job_that_the_rule_means_no_more_stays_though_others_were_deleted_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
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

        removed_meanwhile(monkeypatch, change_meanwhile)
        rule = Prune(labels={"case": "1"}, larger_than=0)
        assert [one.job.job_id for one in await harness.deletions.prune(rule)] == [newer]
        assert (await harness.supervisor.find(older)).job_id == older


async def test_a_dry_run_deletes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        ids = [await harness.job() for _ in range(3)]
        meant = await harness.deletions.list_prunable(Prune(keep=1))
        assert [one.job.job_id for one in meant] == [ids[1], ids[0]]
        assert await harness.left() == ids
        assert await harness.deletions.prune(Prune(keep=1)) == meant
        assert await harness.left() == ids[2:]
