"""PURE. Chooses the jobs that are deleted: by `[retention]` of the configuration, or by a request.

A job with the label `keep` is never chosen, and does not count towards the limits. A job that a
client is reading or changing is not chosen either.

A change of the wall clock makes no job old. `days` applies only if the daemon has also run for that
long since the end of the job. The store counts this time by a clock of the kernel that cannot be
set (`Store.elapsed`): a lower bound on the elapsed time, which does not include the time while the
machine was off. The same count orders the jobs by their end.

The alternative was to notice a jump of the wall clock, and to delete nothing until a user calls
`prune`. But the disk would fill meanwhile, and a jump while the daemon does not run is not noticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from cucmd.store import ClosedJob

KEEP = "keep"
_DAY = 24 * 60 * 60  # seconds


class Prune(msgspec.Struct, frozen=True):
    """Holds the conditions of a request, which deletes the jobs that fulfil all of them.

    older_than: the job ended longer ago. keep: so many newer jobs of its kind with these labels
    stay.
    larger_than: its files take more bytes. labels: the job has all these labels.
    """

    older_than: timedelta | None = None
    keep: int | None = None
    larger_than: int | None = None
    labels: Mapping[str, str] = {}


def jobs_beyond_limits(
    jobs: Iterable[ClosedJob],
    now: datetime,
    elapsed: float,
    is_held: Callable[[str], bool],
    *,
    days: int = 0,
    most: int = 0,
    most_bytes: int = 0,
) -> list[ClosedJob]:
    """Returns the closed jobs that are beyond a limit. A limit of 0 does not apply.

    jobs: closed jobs, the newest first. elapsed: the seconds that the store has counted. is_held:
    returns whether a client is reading or changing the job with this id. days: the age at which a
    job is deleted, by both clocks. most: how many jobs of each kind stay. most_bytes: how many
    bytes the files of the remaining jobs may take together. The newest job may have any size,
    because its user has not had time to export it.
    """
    found: list[ClosedJob] = []
    bytes_so_far = 0
    for position, (newer, job) in enumerate(_counted(_deletable(jobs))):
        bytes_so_far += job.bytes
        if is_held(job.job_id):
            continue
        age = min((now - job.completed_at).total_seconds(), elapsed - job.ended_after)
        old = bool(days) and age > days * _DAY
        surplus = bool(most) and newer >= most
        too_much = bool(most_bytes and job.bytes and position) and bytes_so_far > most_bytes
        if old or surplus or too_much:
            found.append(job)
    return found


def jobs_to_prune(
    request: Prune, jobs: Iterable[ClosedJob], now: datetime, is_held: Callable[[str], bool]
) -> list[ClosedJob]:
    """Returns the closed jobs that a request deletes.

    jobs: closed jobs, the newest first. is_held: as in `jobs_beyond_limits`.
    """
    labelled = [job for job in _deletable(jobs) if request.labels.items() <= job.labels.items()]
    return [
        job
        for newer, job in _counted(labelled)
        if newer >= (request.keep or 0)
        and (request.older_than is None or now - job.completed_at > request.older_than)
        and (request.larger_than is None or job.bytes > request.larger_than)
        and not is_held(job.job_id)
    ]


def _counted(jobs: Iterable[ClosedJob]) -> Iterator[tuple[int, ClosedJob]]:
    """Yields each job with the number of newer jobs of its kind.

    Health checks that a timer starts must not push the collections out.
    """
    newer = Counter[str]()
    for job in jobs:
        yield newer[job.kind], job
        newer[job.kind] += 1


def _deletable(jobs: Iterable[ClosedJob]) -> Sequence[ClosedJob]:
    return [job for job in jobs if KEEP not in job.labels]
