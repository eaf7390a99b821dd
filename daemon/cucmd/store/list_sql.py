"""Makes the SQL of lists of jobs, with what they leave out.

A list reads the rows that it shows, and no nodes but the first of each job.
"""

from __future__ import annotations

import sqlite3

import msgspec

from cucmd.store.rows import JobFilter, JobRow, job_row_from, moment_text
from cucmd.store.unreadable import skip_unreadable

# Characters of details after which a list ends, but for its first job. Those of a job are a
# kilobyte or two, of one with a thousand targets 250.
MOST_OF_DETAILS = 8 * 1024 * 1024

# In the order of the fields of JobRow.
_ROWS = """
SELECT job_id, status, created_at, completed_at,
    nodes_total, nodes_done, nodes_succeeded, nodes_failed, bytes_received,
    (SELECT name FROM node WHERE node.job = job.position AND node.position = 0), revision, detail
FROM job """
_COUNT = "SELECT count(*) FROM job "

# field of JobFilter -> its condition; the parameters have the names of the fields
_CONDITIONS = {
    "status": "status = :status",
    "kind": "kind = :kind",
    "since": "created_at >= :since",
    "before": "position < (SELECT position FROM job WHERE job_id = :before)",
    "target": "position IN (SELECT job FROM target WHERE name = :target)",
    "labels": """position IN (
        SELECT label.job FROM json_each(:labels) AS wanted
        JOIN label ON label.name = wanted.key AND label.value = wanted.value
        GROUP BY label.job HAVING count(*) = :labels_count)""",
}


def statement_of(which: JobFilter) -> str:
    return f"{_ROWS}{_where(which)}ORDER BY position DESC LIMIT :limit"


def parameters_of(which: JobFilter, limit: int = 0) -> dict[str, str | int | None]:
    return {
        "status": which.status,
        "kind": which.kind,
        "since": moment_text(which.since) if which.since else None,
        "before": which.before,
        "target": which.target,
        "labels": msgspec.json.encode(which.labels).decode(),
        "labels_count": len(which.labels),
        "limit": max(limit, 0),  # for SQLite a limit below 0 is no limit
    }


def select_rows(connection: sqlite3.Connection, limit: int, which: JobFilter) -> tuple[JobRow, ...]:
    """Returns the rows of jobs, newest first.

    At most `limit`, and fewer where they are so large that together they would take much memory.
    """
    rows: list[JobRow] = []
    left = MOST_OF_DETAILS
    found = connection.execute(statement_of(which), parameters_of(which, limit))
    for row in found:
        left -= len(str(row[-1]))
        if left < 0 and rows:
            found.close()
            break
        with skip_unreadable(f"job {row[0]}"):
            rows.append(job_row_from(row))
    return tuple(rows)


def count_rows(connection: sqlite3.Connection, which: JobFilter) -> int:
    found = connection.execute(f"{_COUNT}{_where(which)}", parameters_of(which))
    return int(found.fetchone()[0])


def _where(which: JobFilter) -> str:
    given = [text for field, text in _CONDITIONS.items() if getattr(which, field)]
    return f"WHERE {' AND '.join(given)} " if given else ""
