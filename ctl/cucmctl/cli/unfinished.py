"""Jobs that have not ended but are older than the newest jobs of a list.

A list of the newest jobs does not show every running job, so these are asked for too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cucmctl.client.client import Client
from cucmd.protocol.jobs import JobSummary

UNFINISHED: tuple[Literal["queued", "running"], ...] = ("queued", "running")
# As many as the daemon lists at once.
MOST = 1000


def older(client: Client, newest: Sequence[JobSummary], limit: int) -> list[JobSummary]:
    """Jobs that have not ended and are not in `newest`, a list of at most `limit` jobs."""
    if len(newest) < limit:  # those are all there are
        return []
    # in this order: a job that starts between the two calls is in both answers, not in none
    found = {
        job.job_id: job for status in UNFINISHED for job in client.list(status=status, limit=MOST)
    }
    shown = {job.job_id for job in newest}
    rest = (job for job in found.values() if job.job_id not in shown)
    return sorted(rest, key=lambda job: job.created_at, reverse=True)
