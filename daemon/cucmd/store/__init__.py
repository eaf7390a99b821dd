"""What survives a restart: jobs, nodes and files, in SQLite.

The one rule: what a caller has been answered for is on the disk, and stays there.

    store.py      Store, the door: plain trio, awaitable, typed errors
    thread.py     a thread with a connection; group commit
    tables.py     the statements
    rows.py       PURE  jobs to rows and back
    database.py   making, checking, setting aside, bringing up to date
    schema.py     the tables of each version
    lock.py       one daemon to a state directory
    errors.py     what can go wrong, for the person who runs the daemon
"""

from cucmd.store.errors import StateInUse, StoreError, StoreFailed, StoreTooNew
from cucmd.store.rows import FileRow, JobRow, summarise
from cucmd.store.store import Store, open_store

__all__ = [
    "FileRow",
    "JobRow",
    "StateInUse",
    "Store",
    "StoreError",
    "StoreFailed",
    "StoreTooNew",
    "open_store",
    "summarise",
]
