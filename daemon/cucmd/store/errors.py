"""Declares the exceptions of the store, each with a message for the person who runs the daemon.

The store raises nothing else. An error of SQLite is in the message, and the cause.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path


class StoreError(Exception):
    """Is the base of the exceptions of the store."""


class StoreFailed(StoreError):
    """A read or a write failed, and nothing of it was applied. The same call may work later."""

    @property
    def disk_full(self) -> bool:
        """Says whether the disk was full."""
        code: int = getattr(self.__cause__, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_FULL


class StateInUse(StoreError):
    """Another daemon uses this state directory."""

    def __init__(self, directory: Path, owner: str) -> None:
        by = f"process {owner}" if owner else "another process"
        super().__init__(
            f"the state directory {directory} is in use by {by}; "
            "stop that daemon, or choose another directory with --state-dir"
        )


class WrongVersion(StoreError):
    """The database was made by another version of cucmd. It was not changed."""

    def __init__(self, path: Path, found: int, expected: int) -> None:
        super().__init__(
            f"{path} has version {found} of the tables, and this cucmd expects {expected}; "
            "install the cucmd that made it, or move the file away: cucmd then begins without its "
            f"jobs, whose files stay in {path.parent / 'jobs'}"
        )
