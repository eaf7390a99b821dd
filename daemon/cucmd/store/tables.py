"""The SQL statements. Each function takes a connection with an open transaction (thread.py).

The one rule: a write costs as much as the rows that differ, whatever else is in the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from cucmd.job import Job, Node
from cucmd.received_file import ReceivedFile
from cucmd.store.rows import (
    JobRow,
    Row,
    changed_itself,
    changed_nodes,
    file_columns,
    file_from,
    job_columns,
    job_from,
    job_row_from,
    node_columns,
)

_INSERT_JOB = """
INSERT INTO job (job_id, status, created_at, completed_at, detail)
VALUES (:job_id, :status, :created_at, :completed_at, :detail)"""

_UPDATE_JOB = """
UPDATE job SET status = :status, completed_at = :completed_at, detail = :detail
WHERE job_id = :job_id"""

_UPSERT_NODE = """
INSERT INTO node (job, position, status, bytes_received, detail) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (job, position) DO UPDATE SET
    status = excluded.status, bytes_received = excluded.bytes_received, detail = excluded.detail"""

_UPSERT_FILE = """
INSERT INTO file (job, node, path, size, sha256, complete) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (job, node, path) DO UPDATE SET
    size = excluded.size, sha256 = excluded.sha256, complete = excluded.complete"""

_JOB_ROWS = """
SELECT job_id, status, created_at, completed_at,
    nodes_total, nodes_done, nodes_failed, bytes_received FROM job """
NEWEST = _JOB_ROWS + "ORDER BY position DESC LIMIT :limit"
NEWEST_WITH_STATUS = _JOB_ROWS + "WHERE status = :status ORDER BY position DESC LIMIT :limit"
FIND = "SELECT job_id FROM job WHERE job_id >= ? AND job_id < ? ORDER BY job_id LIMIT 3"
ENDED_BUT_OPEN = """
SELECT job_id FROM job WHERE NOT closed AND completed_at IS NOT NULL ORDER BY position"""
# Not a job whose end was not stored: the next start resumes it.
_CLOSE = "UPDATE job SET closed = 1 WHERE job_id = ? AND completed_at IS NOT NULL"
UNFINISHED = """
SELECT job_id FROM job WHERE status IN ('queued', 'running') ORDER BY position"""


class UnknownJob(Exception):
    """A write for a job that was not added: a defect of the caller."""


def insert_job(connection: sqlite3.Connection, job: Job) -> None:
    cursor = connection.execute(_INSERT_JOB, job_columns(job))
    assert cursor.lastrowid is not None
    _write_nodes(connection, cursor.lastrowid, enumerate(job.nodes))


def update_job(connection: sqlite3.Connection, before: Job, after: Job, *, whole: bool) -> None:
    """Writes what differs. With `whole` all of it: the rows may be older than `before`."""
    position = _position_of(connection, after.job_id)
    if whole or changed_itself(before, after):
        connection.execute(_UPDATE_JOB, job_columns(after))
    nodes = enumerate(after.nodes) if whole else changed_nodes(before, after)
    _write_nodes(connection, position, nodes)


def close_job(connection: sqlite3.Connection, job_id: str) -> None:
    connection.execute(_CLOSE, (job_id,))


def upsert_files(
    connection: sqlite3.Connection, job_id: str, files: Sequence[ReceivedFile]
) -> None:
    position = _position_of(connection, job_id)
    # One row at a time: a node can have tens of thousands of files.
    rows = ((position, *file_columns(file)) for file in files)
    connection.executemany(_UPSERT_FILE, rows)


def select_job(connection: sqlite3.Connection, job_id: str) -> Job | None:
    found = connection.execute("SELECT position, detail FROM job WHERE job_id = ?", (job_id,))
    row = found.fetchone()
    if row is None:
        return None
    nodes = connection.execute("SELECT detail FROM node WHERE job = ? ORDER BY position", row[:1])
    job = job_from(row[1], (detail for (detail,) in nodes))
    if job.job_id != job_id or not job.nodes:
        reason = f"its details are those of {job.job_id!r} with {len(job.nodes)} nodes"
        raise msgspec.ValidationError(reason)
    return job


def select_unfinished(connection: sqlite3.Connection) -> tuple[list[Job], list[str]]:
    """(jobs, messages about those that cannot be read). One bad row must not hide the others."""
    jobs: list[Job] = []
    problems: list[str] = []
    for (job_id,) in connection.execute(UNFINISHED).fetchall():
        try:
            job = select_job(connection, job_id)
        except msgspec.MsgspecError as error:
            problems.append(_unreadable(job_id, error))
        else:
            if job is None:  # the id is damaged
                problems.append(_unreadable(job_id, "it is not found by its id"))
            else:
                jobs.append(job)
    return jobs, problems


def _unreadable(job_id: object, reason: object) -> str:
    return f"job {job_id} cannot be read and is left as it is: {reason}"


def select_rows(
    connection: sqlite3.Connection, limit: int, status: str | None
) -> tuple[list[JobRow], list[str]]:
    """(rows, messages about those that cannot be read)."""
    statement = NEWEST if status is None else NEWEST_WITH_STATUS
    rows: list[JobRow] = []
    problems: list[str] = []
    # For SQLite a limit below 0 is no limit.
    for row in connection.execute(statement, {"limit": max(limit, 0), "status": status}):
        try:
            rows.append(job_row_from(row))
        except msgspec.MsgspecError as error:
            problems.append(_unreadable(row[0], error))
    return rows, problems


def select_files(connection: sqlite3.Connection, job_id: str) -> tuple[ReceivedFile, ...]:
    rows = connection.execute(
        "SELECT node, path, size, sha256, complete FROM file"
        " WHERE job = (SELECT position FROM job WHERE job_id = ?) ORDER BY node, path",
        (job_id,),
    )
    return tuple(file_from(row) for row in rows)


def select_ids(connection: sqlite3.Connection, statement: str, parameters: Row) -> tuple[str, ...]:
    return tuple(job_id for (job_id,) in connection.execute(statement, parameters))


def _position_of(connection: sqlite3.Connection, job_id: str) -> int:
    row = connection.execute("SELECT position FROM job WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise UnknownJob(f"there is no job {job_id}")
    return int(row[0])


def _write_nodes(
    connection: sqlite3.Connection, job: int, nodes: Iterable[tuple[int, Node]]
) -> None:
    connection.executemany(_UPSERT_NODE, [(job, *node_columns(at, node)) for at, node in nodes])
