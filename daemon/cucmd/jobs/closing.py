"""Marks a job in the store as closed: it has ended, and all that it has left is on record.

Only a stop of the daemon ends the attempts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from cucmd.job.job import Job
from cucmd.jobs.recorder import RETRY_AFTER
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)


async def close_job(
    store: Store, job: Job, ended_at: float | None, draining: Callable[[], bool]
) -> bool:
    """Tries until the store takes it. `ended_at`: as the store has it.

    False: the daemon stops, and the store did not take it; then the next start looks at the job's
    files once more.
    """
    said = None  # the last message, which is logged once
    while True:
        try:
            await store.close_job(job.job_id, ended_at)
        except StoreFailed as error:
            if str(error) != said:
                said = str(error)
                log.warning("job %s: it could not be closed: %s", job.job_id, error)
            if draining():
                return False
            await trio.sleep(RETRY_AFTER)
        else:
            return True
