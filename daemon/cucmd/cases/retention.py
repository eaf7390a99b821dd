"""PURE. Which jobs are deleted: by `[retention]` of the configuration, or by a request to prune.

A job with the label `keep` never is, nor one that somebody holds. It does not count either: the
limits are for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from cucmd.store import ClosedJob

KEEP = "keep"


class Limits(msgspec.Struct, frozen=True):
    """A job is deleted once it is beyond one of them; 0: no limit.

    `days` since it has ended, by the wall clock and by the time that has passed for sure since it
    was closed (cases/elapsed.py): somebody may set the clock, back or forward. `jobs` that stay,
    those that ended last. `bytes` that the files of those that stay take together. The one that
    ended last stays whatever it takes: nobody has had the time to export it.
    """

    days: int = 0
    jobs: int = 0
    bytes: int = 0

    @property
    def any(self) -> bool:
        return bool(self.days or self.jobs or self.bytes)


class Prune(msgspec.Struct, frozen=True):
    """A job is deleted if all that is given is true of it.

    `older_than`: it ended longer ago. `keep`: so many newer jobs with these labels stay.
    `larger_than`: its files take more bytes. `labels`: it has all of them.
    """

    older_than: timedelta | None = None
    keep: int | None = None
    larger_than: int | None = None
    labels: Mapping[str, str] = {}


def beyond(
    limits: Limits,
    jobs: Iterable[ClosedJob],
    now: datetime,
    passed: float,
    held: Callable[[str], bool],
) -> list[ClosedJob]:
    """Those of the closed `jobs`, newest first, that are beyond a limit.

    passed  how many seconds have passed for sure
    held    of an id, whether somebody reads or changes that job
    """
    found: list[ClosedJob] = []
    taken = 0
    for place, job in enumerate(_deletable(jobs)):
        taken += job.bytes
        if held(job.job_id):
            continue
        old = bool(limits.days) and _age(job, now, passed) > timedelta(days=limits.days)
        surplus = bool(limits.jobs) and place >= limits.jobs
        too_much = bool(limits.bytes and job.bytes and place) and taken > limits.bytes
        if old or surplus or too_much:
            found.append(job)
    return found


def _age(job: ClosedJob, now: datetime, passed: float) -> timedelta:
    """No more than it is by any of the two clocks. A job without a mark is as old as nothing."""
    if job.closed_after is None:
        return timedelta()
    return min(now - job.completed_at, timedelta(seconds=passed - job.closed_after))


def pruned(
    which: Prune, jobs: Iterable[ClosedJob], now: datetime, held: Callable[[str], bool]
) -> list[ClosedJob]:
    """Those of the closed `jobs`, newest first, that are to be pruned. `held`: as in `beyond`."""
    labelled = [job for job in _deletable(jobs) if which.labels.items() <= job.labels.items()]
    return [
        job
        for job in labelled[which.keep or 0 :]
        if (which.older_than is None or now - job.completed_at > which.older_than)
        and (which.larger_than is None or job.bytes > which.larger_than)
        and not held(job.job_id)
    ]


def _deletable(jobs: Iterable[ClosedJob]) -> Sequence[ClosedJob]:
    return [job for job in jobs if KEEP not in job.labels]
