"""Keeps jobs, their nodes and the received files in SQLite: what survives a restart.

A write that was answered is on the disk, and survives a crash and a power cut.

    store.py      Store: the methods, as async functions of trio, with typed errors
    thread.py     a thread that owns a connection; what is durable when; group commit
    job_sql.py    the SQL statements of one job
    list_sql.py   the SQL of lists of jobs
    node_sql.py   the SQL of what is known of nodes, whatever becomes of their jobs
    deletion_sql.py  the SQL of jobs that are deleted, and of the count of seconds
    rows.py       PURE  jobs to rows and back
    reserve.py    space on the disk for deletions
    unreadable.py rows that cannot be decoded: logged and left out
    database.py   the file: locked, made, checked, moved aside when damaged
    schema.py     the tables, and their version
    errors.py     the exceptions
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
