"""Stores jobs, their nodes and the received files in SQLite, so that they survive a restart, a
crash and a power failure.

    store.py         Store: its methods are async functions of trio that raise typed errors
    thread.py        a thread that owns a connection; durability; group commit
    job_sql.py       the SQL statements of one job
    list_sql.py      the SQL of lists of jobs
    node_sql.py      the SQL of discoveries, which stay when their jobs are deleted
    deletion_sql.py  the SQL of deletions, and of the count of elapsed seconds
    rows.py          PURE  converts jobs to rows and back
    reserve.py       space on the disk that is kept for deletions
    unreadable.py    skips and logs rows that cannot be decoded
    database.py      the database file: locks, makes and checks it, moves a damaged one aside
    schema.py        the tables and their version
    errors.py        the exceptions
"""

from cucmd.store.deletion_sql import BegunDeletion
from cucmd.store.errors import StateInUse, StoreError, StoreFailed, WrongVersion
from cucmd.store.node_sql import StoredDiscovery
from cucmd.store.rows import EVERY_JOB, ClosedJob, JobFilter, JobRow, StartKey, summarise
from cucmd.store.store import Store, open_store

__all__ = [
    "EVERY_JOB",
    "BegunDeletion",
    "ClosedJob",
    "JobFilter",
    "JobRow",
    "StartKey",
    "StateInUse",
    "Store",
    "StoreError",
    "StoreFailed",
    "StoredDiscovery",
    "WrongVersion",
    "open_store",
    "summarise",
]
