"""Runs the SQL statements of one job.

Each function takes a connection with an open transaction (thread.py). A function that only carries
out a method of `Store` is described there. The cost of a write depends only on the number of rows
that differ, not on the size of the database.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence

import msgspec

from cucmd.job.job import End, Job
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.store import node_sql
from cucmd.store.rows import (
    Row,
    StartKey,
    changed_itself,
    changed_nodes,
    decode_file,
    decode_job,
    file_columns,
    job_columns,
    node_columns,
    target_names,
)
from cucmd.store.unreadable import skip_unreadable

_INSERT_JOB = """
INSERT INTO job (job_id, status, kind, created_at, completed_at, revision, detail)
VALUES (:job_id, :status, :kind, :created_at, :completed_at, :revision, :detail)"""

_UPDATE_JOB = """
UPDATE job SET
    status = :status, completed_at = :completed_at, revision = :revision, detail = :detail
WHERE job_id = :job_id"""

# Gives a job that does not run its next revision. That happens in the transaction of the change,
# because others may change the job at the same time. A running job counts itself (jobs/job_run.py).
INCREMENT_REVISION = "UPDATE job SET revision = revision + 1 WHERE job_id = ?"

# One statement writes all nodes, because sqlite3 releases the GIL at each statement. With one
# statement for each of 400 nodes, the thread would wait 400 times for a busy event loop.
_UPSERT_NODES = """
INSERT INTO node (job, position, name, status, bytes_received, detail)
SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]')
FROM json_each(?) WHERE true
ON CONFLICT (job, position) DO UPDATE SET
    status = excluded.status, bytes_received = excluded.bytes_received, detail = excluded.detail"""

_INSERT_TARGETS = "INSERT OR IGNORE INTO target (job, name) SELECT ?, value FROM json_each(?)"

_UPSERT_FILE = """
INSERT INTO file (job, node, path, size, sha256, complete, attempt, modified)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (job, node, path) DO UPDATE SET
    size = excluded.size, sha256 = excluded.sha256, complete = excluded.complete,
    attempt = excluded.attempt, modified = excluded.modified"""

# The columns are in the order that `decode_file` expects.
_FILES = """
SELECT node, path, size, sha256, complete, attempt, modified FROM file
WHERE job = (SELECT position FROM job WHERE job_id = ?)"""

_PATHS_ALIKE = """
SELECT CAST(lower(CAST(path AS TEXT)) AS BLOB) FROM file
WHERE job = (SELECT position FROM job WHERE job_id = ?) GROUP BY 1 HAVING count(*) > 1"""

_SET_LABEL = """
INSERT INTO label (job, name, value) VALUES (?, ?, ?)
ON CONFLICT (job, name) DO UPDATE SET value = excluded.value"""

IDS_WITH_PREFIX = "SELECT job_id FROM job WHERE job_id >= ? AND job_id < ? ORDER BY job_id LIMIT 3"
UNCLOSED = """
SELECT job_id FROM job WHERE NOT closed AND completed_at IS NOT NULL ORDER BY position"""
_START_WITH_KEY = """
SELECT job_id, digest FROM start_key JOIN job ON job.position = start_key.job
WHERE start_key.owner = ? AND name = ?"""
# A job without `completed_at` is not closed: its end was not stored, so the next start resumes it.
_CLOSE = """
UPDATE job SET closed = 1, ended_after = ?, bytes_kept = (
    SELECT coalesce(sum(size), 0) FROM file WHERE file.job = job.position)
WHERE job_id = ? AND completed_at IS NOT NULL AND NOT closed"""
UNFINISHED = """
SELECT job_id FROM job WHERE status IN ('queued', 'running') ORDER BY position"""


def insert_job(connection: sqlite3.Connection, job: Job, key: StartKey | None = None) -> None:
    cursor = connection.execute(_INSERT_JOB, job_columns(job))
    position = cursor.lastrowid
    assert position is not None
    _write_nodes(connection, position, enumerate(job.nodes))
    _write_targets(connection, position, target_names(job))
    _write_labels(connection, position, {}, job.labels)
    _write_key(connection, position, key)


def update_job(connection: sqlite3.Connection, before: Job, after: Job) -> bool:
    """Writes what differs between the two. Returns whether a discovery was stored."""
    position = _position_of(connection, after.job_id)
    if changed_itself(before, after):
        connection.execute(_UPDATE_JOB, job_columns(after))
        _write_labels(connection, position, before.labels, after.labels)
    elif after.revision != before.revision:
        revise = "UPDATE job SET revision = ? WHERE position = ?"
        connection.execute(revise, (after.revision, position))
    changed = changed_nodes(before, after)
    _write_changed_nodes(connection, position, before, changed)
    return node_sql.save_discoveries(connection, after, [node for _, node in changed])


def change_job(
    connection: sqlite3.Connection, job_id: str, change: Callable[[Job], Job]
) -> Job | None:
    before = select_job(connection, job_id)
    after = None if before is None else change(before)
    if before is None or after is None or after == before:
        return None
    return _write_change(connection, before, after)


def reopen_job(
    connection: sqlite3.Connection, before: Job, after: Job, key: StartKey | None
) -> Job | None:
    # Compared within the transaction of the change: whoever else changes the job does so before or
    # after this, and never in between.
    if select_job(connection, before.job_id) != before:
        return None
    position = _position_of(connection, after.job_id)
    connection.execute("UPDATE job SET closed = 0 WHERE position = ?", (position,))
    _write_key(connection, position, key)
    return _write_change(connection, before, after)


def _write_change(connection: sqlite3.Connection, before: Job, after: Job) -> Job:
    """Writes what differs from the stored job `before`. Returns the job with its new revision."""
    after = msgspec.structs.replace(after, revision=before.revision + 1)
    position = _position_of(connection, after.job_id)
    connection.execute(_UPDATE_JOB, job_columns(after))
    _write_labels(connection, position, before.labels, after.labels)
    _write_changed_nodes(connection, position, before, changed_nodes(before, after))
    return after


def close_job(connection: sqlite3.Connection, job_id: str, after: float) -> Job | None:
    """Marks an ended job as closed.

    after  the value of `Store.elapsed` at the end of the job
    """
    if not connection.execute(_CLOSE, (after, job_id)).rowcount:
        return None
    connection.execute(INCREMENT_REVISION, (job_id,))
    return select_job(connection, job_id)


def upsert_files(
    connection: sqlite3.Connection, job_id: str, files: Sequence[ReceivedFile]
) -> None:
    position = _position_of(connection, job_id)
    # One row at a time: a node can have tens of thousands of files.
    rows = ((position, *file_columns(file)) for file in files)
    connection.executemany(_UPSERT_FILE, rows)


def select_job(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """Returns the job, or None if there is no such job or it cannot be read."""
    select = "SELECT position, detail, revision, closed, deletion FROM job WHERE job_id = ?"
    row = connection.execute(select, (job_id,)).fetchone()
    if row is None:
        return None
    position, detail, revision, closed, deletion = row
    # All rows are fetched at once. Otherwise, a row that cannot be read would leave the statement
    # open, and SQLite would keep the file open with it.
    nodes = connection.execute(
        "SELECT detail FROM node WHERE job = ? ORDER BY position", (position,)
    ).fetchall()
    end = End.FILES_DELETED if deletion is not None else End.CLOSED if closed else End.OPEN
    with skip_unreadable(f"job {job_id}"):
        job = decode_job(detail, revision, (text for (text,) in nodes), end)
        return msgspec.structs.replace(job, job_id=job_id)  # damaged JSON may have another id
    return None


def select_unfinished(connection: sqlite3.Connection) -> tuple[Job, ...]:
    ids = [job_id for (job_id,) in connection.execute(UNFINISHED)]
    jobs = (select_job(connection, job_id) for job_id in ids)
    return tuple(job for job in jobs if job is not None)


def select_start(connection: sqlite3.Connection, key: StartKey) -> tuple[str, str] | None:
    row = connection.execute(_START_WITH_KEY, (key.owner, key.name)).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def select_files(
    connection: sqlite3.Connection,
    job_id: str,
    after: tuple[str, str],
    limit: int,
    *,
    one_node: bool,
) -> tuple[ReceivedFile, ...]:
    which = "node = ? AND path > ?" if one_node else "(node, path) > (?, ?)"
    rows = connection.execute(
        f"{_FILES} AND {which} ORDER BY node, path LIMIT ?",
        (job_id, after[0], os.fsencode(after[1]), limit),
    )
    return tuple(decode_file(row) for row in rows)


def select_paths_alike(connection: sqlite3.Connection, job_id: str) -> frozenset[bytes]:
    return frozenset(path for (path,) in connection.execute(_PATHS_ALIKE, (job_id,)))


def select_ids(connection: sqlite3.Connection, statement: str, parameters: Row) -> tuple[str, ...]:
    return tuple(job_id for (job_id,) in connection.execute(statement, parameters))


def _position_of(connection: sqlite3.Connection, job_id: str) -> int:
    row = connection.execute("SELECT position FROM job WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no job {job_id}")  # a defect of the caller
    return int(row[0])


def _write_nodes(
    connection: sqlite3.Connection, job: int, nodes: Iterable[tuple[int, Node]]
) -> None:
    rows = [node_columns(at, node) for at, node in nodes]
    if rows:
        connection.execute(_UPSERT_NODES, (job, msgspec.json.encode(rows).decode()))


def _write_changed_nodes(
    connection: sqlite3.Connection, job: int, before: Job, changed: Sequence[tuple[int, Node]]
) -> None:
    _write_nodes(connection, job, changed)
    names = [node.name for at, node in changed if node.name and before.nodes[at].name is None]
    if names:
        _write_targets(connection, job, names)


def _write_targets(connection: sqlite3.Connection, job: int, names: Sequence[str]) -> None:
    connection.execute(_INSERT_TARGETS, (job, msgspec.json.encode(names).decode()))


def _write_key(connection: sqlite3.Connection, job: int, key: StartKey | None) -> None:
    if key is not None:
        values = (key.owner, key.name, key.digest, job)
        connection.execute(
            "INSERT INTO start_key (owner, name, digest, job) VALUES (?, ?, ?, ?)", values
        )


def _write_labels(
    connection: sqlite3.Connection, job: int, before: dict[str, str], after: dict[str, str]
) -> None:
    gone = [(job, name) for name in before if name not in after]
    connection.executemany("DELETE FROM label WHERE job = ? AND name = ?", gone)
    connection.executemany(_SET_LABEL, [(job, name, value) for name, value in after.items()])
