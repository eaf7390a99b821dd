"""Lists of jobs: a filter selects the same jobs in the store and in memory."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import msgspec

from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.store import JobFilter, open_store, summarise

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MakeJob = Callable[..., Job]


def jobs(make_job: MakeJob) -> list[Job]:
    """Makes a job for each combination of labels, targets and age."""
    labels = ({}, {"case": "1"}, {"case": "2"}, {"case": "1", "site": "bern"})
    asked = (("berlin",), ("a",), ())
    made = []
    for number, (label, targets, age) in enumerate(product(labels, asked, (0, 1))):
        job = make_job(f"{number:012x}", nodes=1)
        made.append(
            msgspec.structs.replace(
                job,
                created_at=NOW - timedelta(hours=age),
                labels=dict(label),
                targets=targets,
                nodes=(Node("a" if number % 3 else "b"),),
            )
        )
    return made


FILTERS = [
    JobFilter(),
    JobFilter(labels={"case": "1"}),
    JobFilter(labels={"case": "1", "site": "bern"}),
    JobFilter(labels={"case": "bern"}),
    JobFilter(target="a"),
    JobFilter(target="berlin", labels={"case": "2"}),
    JobFilter(since=NOW - timedelta(minutes=1)),
    JobFilter(status="running"),
    JobFilter(kind="collect", target="a"),
    JobFilter(kind="discover"),
    JobFilter(status="queued", since=NOW, target="b", labels={"case": "1"}),
]


async def test_filters_agree_with_memory(path: Path, make_job: MakeJob) -> None:
    made = jobs(make_job)
    async with open_store(path) as store:
        for job in made:
            await store.add_job(job)
        for which in FILTERS:
            fitting = [job.job_id for job in reversed(made) if which.fits(job)]
            assert [row.job_id for row in await store.newest(99, which)] == fitting, which
            assert await store.count(which) == len(fitting), which
        before = JobFilter(before=made[5].job_id)
        assert [row.job_id for row in await store.newest(2, before)] == [
            made[4].job_id,
            made[3].job_id,
        ]
        assert await store.count(before) == 5


async def test_jobs_are_found_by_host_names(path: Path, make_job: MakeJob) -> None:
    named = (Node("10.0.0.1", name="sub"), Node("10.0.0.2"))
    job = msgspec.structs.replace(make_job(), nodes=named)
    which = JobFilter(target="sub")
    assert which.fits(job)
    async with open_store(path) as store:
        await store.add_job(job)
        (row,) = await store.newest(9, which)
    assert row == summarise(job)
    assert (row.first_node, row.first_name) == ("10.0.0.1", "sub")


async def test_lists_follow_changed_labels(path: Path, make_job: MakeJob) -> None:
    before = msgspec.structs.replace(make_job(), labels={"case": "1", "site": "bern"})
    after = msgspec.structs.replace(before, labels={"case": "2"})
    async with open_store(path) as store:
        await store.add_job(before)
        await store.save(before, after)
        assert await store.count(JobFilter(labels={"case": "2"})) == 1
        for gone in ({"case": "1"}, {"site": "bern"}):
            assert await store.count(JobFilter(labels=gone)) == 0
