"""Runs the SQL of lists of jobs, with their filters.

A list reads only the rows that it shows, and of the nodes only the first of each job.
"""

from __future__ import annotations

import sqlite3

import msgspec

from cucmd.store.rows import JobFilter, JobRow, decode_job_row, format_time
from cucmd.store.unreadable import skip_unreadable

# The most characters of details in one list, to limit its memory. A list has at least one job. Most
# jobs have one or two kilobytes of details, a job with a thousand targets has 250.
MOST_OF_DETAILS = 8 * 1024 * 1024

# The columns are in the order of the fields of JobRow.
_ROWS = """
SELECT job_id, status, created_at, completed_at,
    nodes_total, nodes_done, nodes_succeeded, nodes_failed, bytes_received,
    (SELECT name FROM node WHERE node.job = job.position AND node.position = 0),
    (SELECT CASE WHEN json_valid(detail) THEN json_extract(detail, '$.name') END
        FROM node WHERE node.job = job.position AND node.position = 0),
    revision, detail
FROM job """
_COUNT = "SELECT count(*) FROM job "

# field of JobFilter -> its condition in SQL; the parameters have the names of the fields
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


def list_statement(which: JobFilter) -> str:
    return f"{_ROWS}{_where(which)}ORDER BY position DESC LIMIT :limit"


def list_parameters(which: JobFilter, limit: int = 0) -> dict[str, str | int | None]:
    return {
        "status": which.status,
        "kind": which.kind,
        "since": format_time(which.since) if which.since else None,
        "before": which.before,
        "target": which.target,
        "labels": msgspec.json.encode(which.labels).decode(),
        "labels_count": len(which.labels),
        "limit": max(limit, 0),  # SQLite treats a negative limit as no limit
    }


def select_rows(connection: sqlite3.Connection, limit: int, which: JobFilter) -> tuple[JobRow, ...]:
    rows: list[JobRow] = []
    left = MOST_OF_DETAILS
    found = connection.execute(list_statement(which), list_parameters(which, limit))
    for row in found:
        left -= len(str(row[-1]))
        # The first job is listed whatever its size is. Otherwise a client could never list the jobs
        # behind it, because it asks for the next page by the last job of this one.
        if left < 0 and rows:
            found.close()
            break
        with skip_unreadable(f"job {row[0]}"):
            rows.append(decode_job_row(row))
    return tuple(rows)


def count_rows(connection: sqlite3.Connection, which: JobFilter) -> int:
    found = connection.execute(f"{_COUNT}{_where(which)}", list_parameters(which))
    return int(found.fetchone()[0])


def _where(which: JobFilter) -> str:
    given = [text for field, text in _CONDITIONS.items() if getattr(which, field)]
    return f"WHERE {' AND '.join(given)} " if given else ""
