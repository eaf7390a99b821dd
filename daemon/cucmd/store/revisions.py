"""The SQL of a job's revision: how many changes of state it has had.

A change that is made while the job does not run is counted in its own transaction, since others may
change the job at the same time. A job that runs counts by itself (jobs/run.py).
"""

from __future__ import annotations

import sqlite3

# The revision of a node is that of the job when the node changed last. A damaged row has none, and
# CASE keeps SQLite from reading it.
_KNOWN = """
SELECT max(
    CASE WHEN json_valid(detail) THEN coalesce(json_extract(detail, '$.revision'), 0) ELSE 0 END,
    (SELECT coalesce(max(CASE WHEN json_valid(node.detail)
        THEN json_extract(node.detail, '$.revision') END), 0)
     FROM node WHERE node.job = job.position))
FROM job WHERE job_id = ?"""

_SET = """
UPDATE job SET detail = json_set(detail, '$.revision', ?)
WHERE job_id = ? AND CASE WHEN json_valid(detail) THEN json_type(detail) = 'object' END"""


def following(connection: sqlite3.Connection, job_id: str) -> int:
    """The revision of the next change."""
    row = connection.execute(_KNOWN, (job_id,)).fetchone()
    return 1 + int(row[0]) if row else 1


def count_a_change(connection: sqlite3.Connection, job_id: str) -> int:
    """Gives the revision that the job has then. A row that is damaged stays as it is."""
    revision = following(connection, job_id)
    connection.execute(_SET, (revision, job_id))
    return revision
