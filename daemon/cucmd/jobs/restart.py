"""After a restart: the jobs that a stop left unfinished, and those that have ended unclosed.

What is wrong with one job is logged, and the others go on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import trio
from msgspec.structs import replace

from cucmd.failure import Code, failure
from cucmd.job.job import Job
from cucmd.jobs.recovery import RecoveredFiles, recover_files, with_received
from cucmd.node.ports import NodeTask
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Makes the tasks of a job that a restart found unfinished, None for a node that has ended. None for
# the whole job if its password is not available.
Replan: TypeAlias = Callable[[Job], Sequence[NodeTask | None] | None]

# Of the nodes of a job that cannot go on.
INTERRUPTED = failure(Code.INTERRUPTED, "the daemon was stopped before this node was done")


# Seconds until the store is read again, if that has failed. The socket waits for it.
PAUSES = (0.1, 1.0)


class Unfinished(NamedTuple):
    """A job that was queued or was running. `tasks`: as `Replan` gives them."""

    job: Job
    tasks: Sequence[NodeTask | None] | None
    recovered: RecoveredFiles


async def recover_jobs(
    store: Store,
    directory: Callable[[str], Path],
    replan: Replan,
    resume: Callable[[Unfinished], None],
) -> None:
    """Gives every unfinished job to `resume`, oldest first, and closes those that have ended.

    A cancelled job ends at once; its connections close and its files are put on record after that,
    within the grace period. A stop in between leaves it unclosed.
    """
    ended = await store.ended_but_open()  # and not those that end in the meantime
    for found in await store.unfinished():
        with _logged_for(found.job_id):
            job = replace(found, nodes=tuple(node.abandoned() for node in found.nodes))
            recovered = await _recovered(store, job, directory(job.job_id))
            if recovered is None:  # left as it is, nobody could end it
                resume(Unfinished(job, None, RecoveredFiles(Counter(), recorded=False)))
                continue
            job = with_received(job, recovered.received)
            resume(Unfinished(job, _planned(replan, job), recovered))
    for job_id in ended:
        with _logged_for(job_id):
            await _close(store, job_id, directory(job_id))


async def _close(store: Store, job_id: str, directory: Path) -> None:
    """Puts the files on record that a job has left on disk, and closes it."""
    job = await store.load(job_id)
    recovered = None if job is None else await _recovered(store, job, directory)
    if recovered is not None and recovered.recorded:
        await store.close_job(job_id)


async def _recovered(store: Store, job: Job, directory: Path) -> RecoveredFiles | None:
    """As `recover_files`, tried again where the store cannot be read. None: it is of no use, and
    the next start looks at the files.
    """
    for pause in (*PAUSES, None):
        try:
            return await recover_files(store, job, directory)
        except StoreFailed as error:
            if pause is None:
                text = "job %s: its files are looked at by the next start: %s"
                log.error(text, job.job_id, error)  # noqa: TRY400  of the disk, not a defect
            else:
                await trio.sleep(pause)
    return None


@contextmanager
def _logged_for(job_id: str) -> Iterator[None]:
    """Logs an error of one job, or of its row in the store, so that the other jobs go on."""
    try:
        yield
    except StoreFailed as error:
        log.error("job %s is left as it is: %s", job_id, error)  # noqa: TRY400  damage, not a defect
    except Exception:
        log.exception("job %s is left as it is: a defect", job_id)


def _planned(replan: Replan, job: Job) -> Sequence[NodeTask | None] | None:
    try:
        return replan(job)
    except Exception:
        log.exception("job %s: a defect; it cannot go on", job.job_id)
        return None
