"""Jobs that have not ended, however many newer ones have: whoever asks wants to know what runs.

The one rule: a few newest jobs tell nothing of those that are older, so those are asked for too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cucmctl.client import Client
from cucmd.api.structs import JobSummary

UNFINISHED: tuple[Literal["queued", "running"], ...] = ("queued", "running")
# As many as the daemon lists at once.
MOST = 1000


def older(client: Client, newest: Sequence[JobSummary], limit: int) -> list[JobSummary]:
    """What has not ended and is older than the `newest`, of which there may be `limit`."""
    if len(newest) < limit:  # those are all there are
        return []
    # in this order: one that leaves the queue in between is in both answers, not in none
    found = {
        job.job_id: job for status in UNFINISHED for job in client.list(status=status, limit=MOST)
    }
    shown = {job.job_id for job in newest}
    rest = (job for job in found.values() if job.job_id not in shown)
    return sorted(rest, key=lambda job: job.created_at, reverse=True)
