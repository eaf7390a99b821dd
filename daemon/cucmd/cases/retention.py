"""PURE. Says which jobs are deleted: by `[retention]` of the configuration, or by a request.

A job with the label `keep` never is, nor one that somebody holds. It does not count either: the
limits are for the others.

Setting the wall clock makes no job old: by `days` one is if the daemon has run for as long since
its end, too, which the store counts by a clock of the kernel that nobody can set (`Store.elapsed`).
That may be less than the time that has passed, as while the machine is off, and is never more. The
same count gives the order in which jobs have ended, by which the newest stay.

To stop at a jump of the wall clock instead, until somebody calls `prune`, would take more, and hold
less: the jump must be found, kept over restarts, shown and taken back, while the disk fills; one
that is made while the daemon does not run is not found; and the order would still need a count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from cucmd.store import ClosedJob

KEEP = "keep"
_DAY = 24 * 60 * 60  # seconds


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
    jobs: Iterable[ClosedJob],
    now: datetime,
    elapsed: float,
    held: Callable[[str], bool],
    *,
    days: int = 0,
    most: int = 0,
    most_bytes: int = 0,
) -> list[ClosedJob]:
    """Returns those of the closed `jobs`, newest first, that are beyond a limit; 0: no limit.

    elapsed     that of the store, in seconds
    held        of an id, whether somebody reads or changes that job
    days        since the job has ended, by both clocks
    most        jobs that stay
    most_bytes  that the files of those take together. The newest stays whatever it takes: nobody
                has had the time to export it
    """
    found: list[ClosedJob] = []
    taken = 0
    for place, job in enumerate(_deletable(jobs)):
        taken += job.bytes
        if held(job.job_id):
            continue
        age = min((now - job.completed_at).total_seconds(), elapsed - job.ended_after)
        old = bool(days) and age > days * _DAY
        surplus = bool(most) and place >= most
        too_much = bool(most_bytes and job.bytes and place) and taken > most_bytes
        if old or surplus or too_much:
            found.append(job)
    return found


def pruned(
    which: Prune, jobs: Iterable[ClosedJob], now: datetime, held: Callable[[str], bool]
) -> list[ClosedJob]:
    """Returns those of the closed `jobs`, newest first, that are to be pruned. `held`: as in
    `beyond`.
    """
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
