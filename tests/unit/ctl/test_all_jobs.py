"""The live view of all jobs, which may stay open for months: the newest first, and no more of them
than a terminal can show."""

import io

import pytest
from msgspec.structs import replace

from cucmctl.text import render
from cucmctl.text.live import MOST_LINES, NEWEST, Live, select_jobs


@pytest.fixture
def shown(change, job, node):
    """A view of all jobs, of which there are none yet: `to` is a change of one of them, and
    `numbers` gives those that stay when the view ends."""

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


def test_a_job_that_begins_is_the_newest_and_stays_where_it_is(shown):
    for number in (1, 2, 3):
        shown.to(number, "running")
    shown.to(2, "succeeded")
    assert shown.numbers() == [3, 2, 1]


def test_jobs_that_have_ended_are_forgotten_once_no_terminal_can_show_them(shown):
    most = 3 * MOST_LINES
    for number in range(most):
        shown.to(number, "running")
        shown.to(number, "succeeded")
    assert len(shown.view.jobs) == MOST_LINES
    assert shown.numbers() == list(range(most - 1, most - 1 - NEWEST, -1))


def test_a_job_that_goes_on_keeps_its_place_however_many_are_newer(shown):
    shown.to(0, "running")
    for number in range(1, MOST_LINES + 9):
        shown.to(number, "succeeded")
    shown.to(0, "running")
    assert shown.numbers() == [*range(MOST_LINES + 8, MOST_LINES + 9 - NEWEST, -1), 0]


def test_what_goes_on_has_a_line_before_what_has_ended(shown):
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


def test_all_that_go_on_stay_when_the_view_ends(shown):
    for number in range(2 * NEWEST):
        shown.to(number, "running")
    assert len(shown.numbers()) == 2 * NEWEST


def test_what_comes_of_a_job_that_has_left_does_not_make_it_new(shown):
    shown.to(0, "running")
    for number in range(1, MOST_LINES + 9):
        shown.to(number, "succeeded")
    for _ in range(2):  # it ends, and as its connections close there are figures once more
        shown.to(0, "succeeded")
        assert 0 not in map(int, shown.view.jobs)


def test_after_missed_changes_the_list_is_the_one_that_came(shown):
    for number in (1, 2):
        shown.to(number, "succeeded")
    shown.missed(3, 2)
    assert shown.numbers() == [3, 2]


def test_a_job_that_is_deleted_leaves_the_list(shown):
    for number in (1, 2):
        shown.to(number, "succeeded")
    shown.to(1, "succeeded", closed=True, deleted=True)
    assert shown.numbers() == [2]
    shown.to(1, "succeeded", closed=True)
    assert shown.numbers() == [2]


def test_a_label_on_a_job_that_is_not_listed_does_not_make_it_new(shown):
    shown.to(2, "running")
    shown.to(1, "succeeded", closed=True)
    assert shown.numbers() == [2]
