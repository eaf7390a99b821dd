"""Has the SQL of jobs that are deleted, with what they have collected or without.

A job is marked before the first of its files is deleted, and its row goes last. So a stop in the
middle is known, and is finished later.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import msgspec

from cucmd.job.job import Job
from cucmd.store.job_sql import COUNT_A_CHANGE, select_job
from cucmd.store.rows import ClosedJob
from cucmd.store.unreadable import skip_unreadable

BEGUN = "SELECT job_id FROM job WHERE deletion IN ('job', 'files') ORDER BY position"

# Rows of one transaction: a job can have 100,000 files, and other writes must not wait for all.
AT_ONCE = 5000

_MARK = """
UPDATE job SET deletion = CASE WHEN :record OR deletion = 'job' THEN 'job' ELSE 'files' END
WHERE job_id = :job_id"""

_DELETE_FILES = """
DELETE FROM file WHERE job = :job AND (node, path) IN (
    SELECT node, path FROM file WHERE job = :job ORDER BY node, path LIMIT :limit)"""

# In the order of the fields of ClosedJob. A job that took long is as new as its end. Somebody may
# have set the clock between two ends, so that the count of seconds comes first.
_CLOSED = """
SELECT job_id, completed_at, bytes_kept,
    (SELECT json_group_object(name, value) FROM label WHERE label.job = job.position), ended_after
FROM job WHERE closed ORDER BY ended_after DESC, completed_at DESC, position DESC"""


class BegunDeletion(NamedTuple):
    """Describes a deletion that has begun. bytes: what the files of the job take. job: as it is
    then; None: its files were being deleted before, so that nothing has changed.
    """

    bytes: int
    job: Job | None


def begin_deletion(connection: sqlite3.Connection, job_id: str, *, record: bool) -> BegunDeletion:
    """Marks a closed job; of another one nothing is done."""
    select = "SELECT bytes_kept, deletion FROM job WHERE job_id = ? AND closed"
    found = connection.execute(select, (job_id,)).fetchone()
    if found is None:
        return BegunDeletion(0, None)
    size, before = found
    connection.execute(_MARK, {"job_id": job_id, "record": record})
    if before is not None:
        return BegunDeletion(size, None)
    connection.execute(COUNT_A_CHANGE, (job_id,))
    return BegunDeletion(size, select_job(connection, job_id))


def finish_deletion(connection: sqlite3.Connection, job_id: str) -> int | None:
    """Gives the revision of the end of the job, which is gone; 0: it is still there. None: there is
    more to be done, by another call. Nothing is done for an unmarked job.
    """
    select = "SELECT position, deletion, revision FROM job WHERE job_id = ?"
    found = connection.execute(select, (job_id,)).fetchone()
    position, deletion, revision = found or (None, None, 0)
    if deletion == "files":
        done = "UPDATE job SET deletion = 'done', bytes_kept = 0 WHERE position = ?"
        connection.execute(done, (position,))
    if deletion != "job":
        return 0
    values = {"job": position, "limit": AT_ONCE}
    if connection.execute(_DELETE_FILES, values).rowcount == AT_ONCE:
        return None
    connection.execute("DELETE FROM job WHERE position = ?", (position,))
    return int(revision) + 1


def select_closed(connection: sqlite3.Connection) -> tuple[ClosedJob, ...]:
    """Returns the closed jobs, those that ended last first."""
    jobs: list[ClosedJob] = []
    for row in connection.execute(_CLOSED):
        with skip_unreadable(f"job {row[0]}"):
            values = dict(zip(ClosedJob.__struct_fields__, row, strict=True))
            values["labels"] = msgspec.json.decode(values["labels"])
            jobs.append(msgspec.convert(values, ClosedJob))
    return tuple(jobs)


def select_seconds(connection: sqlite3.Connection) -> float:
    """Returns how many have passed for sure, when that was saved last."""
    found = connection.execute("SELECT seconds FROM elapsed").fetchone()
    return float(found[0]) if found else 0.0


def save_seconds(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute("UPDATE elapsed SET seconds = ?", (seconds,))
