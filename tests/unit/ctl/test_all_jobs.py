"""The live view of all jobs, which may stay open for months: order and number of its jobs."""

import io

import pytest
from msgspec.structs import replace

from cucmctl.text import render
from cucmctl.text.live import MOST_LINES, NEWEST, Live, select_jobs


@pytest.fixture
def shown(change, job, node):
    """A view of all jobs, without any yet. `to` changes a job; `numbers` lists the jobs that are
    printed when the view ends."""

    class Shown:
        def __init__(self):
            self.printed = io.StringIO()
            self.view = Live(self.printed)
            self.view.show(change(jobs=()))

        def to(self, number, status, **fields):
            self.view.show(change(replace(self.job(number, status), **fields)))

        def missed(self, *numbers):
            jobs = tuple(render.summary(self.job(number, "succeeded")) for number in numbers)
            self.view.show(change(jobs=jobs, missed=200))

        def job(self, number, status):
            return job(node(status=status), status=status, job_id=f"{number:012}")

        def numbers(self):
            self.printed.truncate(0)
            self.printed.seek(0)
            self.view.__exit__()
            _, *lines = self.printed.getvalue().splitlines()
            return [int(line.split()[0]) for line in lines]

    return Shown()


def test_jobs_keep_their_place(shown):
    for number in (1, 2, 3):
        shown.to(number, "running")
    shown.to(2, "succeeded")
    assert shown.numbers() == [3, 2, 1]


def test_old_jobs_are_forgotten(shown):
    most = 3 * MOST_LINES
    for number in range(most):
        shown.to(number, "running")
        shown.to(number, "succeeded")
    assert len(shown.view.jobs) == MOST_LINES
    assert shown.numbers() == list(range(most - 1, most - 1 - NEWEST, -1))


def test_running_job_stays_listed(shown):
    shown.to(0, "running")
    for number in range(1, MOST_LINES + 9):
        shown.to(number, "succeeded")
    shown.to(0, "running")
    assert shown.numbers() == [*range(MOST_LINES + 8, MOST_LINES + 9 - NEWEST, -1), 0]


def test_running_jobs_get_lines_first(shown):
    for number, status in enumerate(("running", "queued", *["succeeded"] * 30, "failed")):
        shown.to(number, status)
    jobs = shown.view.jobs.values()
    assert [[int(job.job_id) for job in select_jobs(jobs, space)[0]] for space in (0, 1, 2, 4)] == [
        [],
        [1],
        [1, 0],
        [32, 31, 1, 0],
    ]
    assert [select_jobs(jobs, space)[1] for space in (0, 1, 2)] == [2, 1, 0]
