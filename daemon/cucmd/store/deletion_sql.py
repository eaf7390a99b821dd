"""Runs the SQL of deletions: of whole jobs, or only of the files that they have collected.

A job is marked before the first of its files is deleted, and its row is deleted last. So the next
start notices a deletion that was interrupted, and finishes it.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import msgspec

from cucmd.job.job import Job
from cucmd.store.job_sql import INCREMENT_REVISION, select_job
from cucmd.store.rows import ClosedJob
from cucmd.store.unreadable import skip_unreadable

BEGUN_DELETIONS = "SELECT job_id FROM job WHERE deletion IN ('job', 'files') ORDER BY position"

# Rows of files that one transaction deletes. A job can have 100,000 files, and other writes must
# not wait until all of them are deleted.
BATCH = 5000

_MARK = """
UPDATE job SET deletion = CASE WHEN :record OR deletion = 'job' THEN 'job' ELSE 'files' END
WHERE job_id = :job_id"""

_DELETE_FILES = """
DELETE FROM file WHERE job = :job AND (node, path) IN (
    SELECT node, path FROM file WHERE job = :job ORDER BY node, path LIMIT :limit)"""

# The columns are in the order of the fields of ClosedJob. Jobs are ordered by their ends, so that a
# job that took long does not count as old. The count of elapsed seconds comes before the time
# stamp, because somebody may have set the clock between two ends.
_CLOSED = """
SELECT job_id, completed_at, bytes_kept,
    (SELECT json_group_object(name, value) FROM label WHERE label.job = job.position), ended_after,
    kind
FROM job WHERE closed ORDER BY ended_after DESC, completed_at DESC, position DESC"""


class BegunDeletion(NamedTuple):
    """Describes a deletion that has begun.

    bytes  the size of the job's files
    job    the job with its mark, or None if a deletion had begun before and nothing has changed
    """

    bytes: int
    job: Job | None


def begin_deletion(connection: sqlite3.Connection, job_id: str, *, record: bool) -> BegunDeletion:
    """Marks a job for deletion. Does nothing if the job is not closed or does not exist."""
    select = "SELECT bytes_kept, deletion FROM job WHERE job_id = ? AND closed"
    found = connection.execute(select, (job_id,)).fetchone()
    if found is None:
        return BegunDeletion(0, None)
    size, before = found
    connection.execute(_MARK, {"job_id": job_id, "record": record})
    # A deletion of the files can become one of the whole job. The job as clients see it has not
    # changed then, so it gets no further revision.
    if before is not None:
        return BegunDeletion(size, None)
    connection.execute(INCREMENT_REVISION, (job_id,))
    return BegunDeletion(size, select_job(connection, job_id))


def finish_deletion(connection: sqlite3.Connection, job_id: str) -> int | None:
    """Carries out a part of `Store.end_deletion`. Returns None if rows are left, and the function
    has to be called again.
    """
    select = "SELECT position, deletion, revision FROM job WHERE job_id = ?"
    found = connection.execute(select, (job_id,)).fetchone()
    position, deletion, revision = found or (None, None, 0)
    if deletion == "files":
        done = "UPDATE job SET deletion = 'done', bytes_kept = 0 WHERE position = ?"
        connection.execute(done, (position,))
    if deletion != "job":
        return 0
    values = {"job": position, "limit": BATCH}
    if connection.execute(_DELETE_FILES, values).rowcount == BATCH:
        return None
    connection.execute("DELETE FROM job WHERE position = ?", (position,))
    return int(revision) + 1


def select_closed(connection: sqlite3.Connection) -> tuple[ClosedJob, ...]:
    jobs: list[ClosedJob] = []
    for row in connection.execute(_CLOSED):
        with skip_unreadable(f"job {row[0]}"):
            values = dict(zip(ClosedJob.__struct_fields__, row, strict=True))
            values["labels"] = msgspec.json.decode(values["labels"])
            jobs.append(msgspec.convert(values, ClosedJob))
    return tuple(jobs)


def select_seconds(connection: sqlite3.Connection) -> float:
    """Returns the count of elapsed seconds that was saved last (`Store.elapsed`)."""
    found = connection.execute("SELECT seconds FROM elapsed").fetchone()
    return float(found[0]) if found else 0.0


def save_seconds(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute("UPDATE elapsed SET seconds = ?", (seconds,))
