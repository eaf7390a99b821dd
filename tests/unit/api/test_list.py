"""`List` limits the size of a list, and counts the jobs that follow."""

from pathlib import Path

import pytest

from cucmd.api.job_methods import JobMethods
from cucmd.protocol.requests import ListRequest
from cucmd.store.list_sql import MOST_OF_DETAILS
from cucmd.varlink import Caller
from rig.supervised import SupervisorHarness, fail_calls, hang, supervisor_harness

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)


def jobs(harness: SupervisorHarness) -> JobMethods:
    return JobMethods(harness.supervisor, harness.feed, planner=lambda: None)


async def stored(harness: SupervisorHarness, count: int, label: str = "x") -> list[str]:
    """Stores so many jobs. Returns their ids, the newest first."""
    made = [harness.job("a", targets=("a",), labels={"x": label}) for _ in range(count)]
    for job in made:
        await harness.store.add_job(job)
    return [job.job_id for job in reversed(made)]


@pytest.mark.parametrize(("part", "sizes"), [(1.1, [1, 1]), (0.4, [2, 1])])
async def test_large_jobs_are_listed_in_pages(
    harness: SupervisorHarness, part: float, sizes: list[int]
) -> None:
    ids = await stored(harness, sum(sizes), label="x" * int(part * MOST_OF_DETAILS))
    before, pages = None, []
    while not pages or pages[-1].older:
        request = ListRequest(limit=100, before=before)
        pages.append(await jobs(harness).list(CALLER, request))
        before = pages[-1].jobs[-1].job_id
    assert [len(page.jobs) for page in pages] == sizes
    assert [job.job_id for page in pages for job in page.jobs] == ids
    assert pages[0].older == sizes[1]


@pytest.mark.parametrize(("limit", "older"), [(1, 2), (3, 0), (4, 0)])
async def test_list_counts_older_jobs(harness: SupervisorHarness, limit: int, older: int) -> None:
    await stored(harness, 3)
    found = await jobs(harness).list(CALLER, ListRequest(limit=limit))
    assert (len(found.jobs), found.older) == (min(limit, 3), older)
    found = await jobs(harness).list(CALLER, ListRequest(target="none"))
    assert (found.jobs, found.older) == ((), 0)


async def test_running_jobs_listed_without_store(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": hang}
        job_id = await harness.start("a")
        await harness.running(job_id)
        fail_calls(harness.store, "newest")
        fail_calls(harness.store, "count")
        found = await jobs(harness).list(CALLER, ListRequest(status="running"))
        assert ([job.job_id for job in found.jobs], found.older) == ([job_id], None)
        await harness.supervisor.cancel(job_id, None)
