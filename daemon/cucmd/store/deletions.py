"""The SQL of jobs that are deleted, with what they have collected or without.

The one rule: a job is marked before the first of its files is deleted, and its row goes last. So a
stop in the middle is known, and is finished later.
"""

from __future__ import annotations

import sqlite3

import msgspec

from cucmd.store.rows import ClosedJob
from cucmd.store.tables import unreadable

BEGUN = "SELECT job_id FROM job WHERE deletion IN ('job', 'files') ORDER BY position"

# Rows of one transaction: a job can have 100,000 files, and other writes must not wait for all.
_AT_ONCE = 5000

_BEGIN = """
UPDATE job SET deletion = CASE WHEN :record OR deletion = 'job' THEN 'job' ELSE 'files' END
WHERE job_id = :job_id AND closed RETURNING bytes_kept"""

_DELETE_FILES = """
DELETE FROM file WHERE job = :job AND (node, path) IN (
    SELECT node, path FROM file WHERE job = :job ORDER BY node, path LIMIT :limit)"""

# In the order of the fields of ClosedJob. A job that took long is as new as its end.
_CLOSED = """
SELECT job_id, completed_at, bytes_kept,
    (SELECT json_group_object(name, value) FROM label WHERE label.job = job.position)
FROM job WHERE closed ORDER BY completed_at DESC, position DESC"""


def begin(connection: sqlite3.Connection, job_id: str, *, record: bool) -> int:
    """Returns how many bytes its files take."""
    found = connection.execute(_BEGIN, {"job_id": job_id, "record": record}).fetchone()
    return int(found[0]) if found else 0


def end(connection: sqlite3.Connection, job_id: str) -> bool:
    """Whether there is more to be done, by another call. Nothing is done for an unmarked job."""
    found = connection.execute("SELECT position, deletion FROM job WHERE job_id = ?", (job_id,))
    position, deletion = found.fetchone() or (None, None)
    if deletion == "files":
        done = "UPDATE job SET deletion = 'done', bytes_kept = 0 WHERE position = ?"
        connection.execute(done, (position,))
    if deletion != "job":
        return False
    values = {"job": position, "limit": _AT_ONCE}
    if connection.execute(_DELETE_FILES, values).rowcount == _AT_ONCE:
        return True
    connection.execute("DELETE FROM job WHERE position = ?", (position,))
    return False


def select_closed(connection: sqlite3.Connection) -> tuple[list[ClosedJob], list[str]]:
    """(jobs, messages about those that cannot be read), those that ended last first."""
    jobs: list[ClosedJob] = []
    problems: list[str] = []
    for row in connection.execute(_CLOSED):
        try:
            *columns, labels = row
            values = dict(zip(ClosedJob.__struct_fields__, (*columns, None), strict=True))
            values["labels"] = msgspec.json.decode(labels)
            jobs.append(msgspec.convert(values, ClosedJob))
        except msgspec.MsgspecError as error:
            problems.append(unreadable(row[0], error))
    return jobs, problems
