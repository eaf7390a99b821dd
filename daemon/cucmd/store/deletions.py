"""Has the SQL of jobs that are deleted, with what they have collected or without.

A job is marked before the first of its files is deleted, and its row goes last. So a stop in the
middle is known, and is finished later.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import msgspec

from cucmd.job.job import Job
from cucmd.store.rows import ClosedJob
from cucmd.store.tables import count_a_change, next_revision, select_readable, unreadable

BEGUN = "SELECT job_id FROM job WHERE deletion IN ('job', 'files') ORDER BY position"

# Rows of one transaction: a job can have 100,000 files, and other writes must not wait for all.
AT_ONCE = 5000

# What a job has kept is known once it is closed.
_FIND = """
SELECT CASE WHEN closed THEN bytes_kept
    ELSE (SELECT coalesce(sum(size), 0) FROM file WHERE file.job = job.position) END, deletion
FROM job WHERE job_id = :job_id AND (closed OR :damaged)"""
_MARK = """
UPDATE job SET deletion = CASE WHEN :record OR deletion = 'job' THEN 'job' ELSE 'files' END
WHERE job_id = :job_id"""

_DELETE_FILES = """
DELETE FROM file WHERE job = :job AND (node, path) IN (
    SELECT node, path FROM file WHERE job = :job ORDER BY node, path LIMIT :limit)"""

# In the order of the fields of ClosedJob. A job that took long is as new as its end. Somebody may
# have set the clock between two ends, so that the count of seconds comes first. One whose row is
# damaged is the oldest: it is not deleted by a rule, and must not take the place of a job that
# would be.
_CLOSED = """
SELECT job_id, completed_at, bytes_kept,
    (SELECT json_group_object(name, value) FROM label WHERE label.job = job.position), ended_after
FROM job WHERE closed
ORDER BY json_valid(detail) DESC, ended_after DESC, completed_at DESC, position DESC"""


class BegunDeletion(NamedTuple):
    """Describes a deletion that has begun. bytes: what the files of the job take. revision: of the
    job then; None: its files were being deleted before, so that nothing has changed. job: as it is
    then; None: it cannot be read.
    """

    bytes: int
    revision: int | None
    job: Job | None = None


def begin(
    connection: sqlite3.Connection, job_id: str, *, record: bool, damaged: bool = False
) -> BegunDeletion:
    """`damaged`: its rows cannot be read, so that it does not run: it need not be closed."""
    found = connection.execute(_FIND, {"job_id": job_id, "damaged": damaged}).fetchone()
    if found is None:
        return BegunDeletion(0, None)
    size, before = found
    connection.execute(_MARK, {"job_id": job_id, "record": record})
    revision = count_a_change(connection, job_id) if before is None else None
    return BegunDeletion(size, revision, select_readable(connection, job_id))


def end(connection: sqlite3.Connection, job_id: str) -> int | None:
    """Gives the revision of the end of the job, which is gone; 0: it is still there. None: there is
    more to be done, by another call. Nothing is done for an unmarked job.
    """
    found = connection.execute("SELECT position, deletion FROM job WHERE job_id = ?", (job_id,))
    position, deletion = found.fetchone() or (None, None)
    if deletion == "files":
        done = "UPDATE job SET deletion = 'done', bytes_kept = 0 WHERE position = ?"
        connection.execute(done, (position,))
    if deletion != "job":
        return 0
    values = {"job": position, "limit": AT_ONCE}
    if connection.execute(_DELETE_FILES, values).rowcount == AT_ONCE:
        return None
    revision = next_revision(connection, job_id)
    connection.execute("DELETE FROM job WHERE position = ?", (position,))
    return revision


def select_closed(connection: sqlite3.Connection) -> tuple[list[ClosedJob], list[str]]:
    """Returns (jobs, messages about those that cannot be read), those that ended last first."""
    jobs: list[ClosedJob] = []
    problems: list[str] = []
    for row in connection.execute(_CLOSED):
        try:
            values = dict(zip(ClosedJob.__struct_fields__, row, strict=True))
            values["labels"] = msgspec.json.decode(values["labels"])
            jobs.append(msgspec.convert(values, ClosedJob))
        except msgspec.MsgspecError as error:
            problems.append(unreadable(row[0], error))
    return jobs, problems


def select_seconds(connection: sqlite3.Connection) -> float:
    """Returns how many have passed for sure, when that was saved last."""
    found = connection.execute("SELECT seconds FROM elapsed").fetchone()
    return float(found[0]) if found else 0.0


def save_seconds(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute("UPDATE elapsed SET seconds = ?", (seconds,))
