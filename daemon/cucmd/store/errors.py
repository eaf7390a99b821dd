"""Declares the exceptions of the store. Their messages are for the person who runs the daemon.

An error of SQLite is quoted in the message, and is the `__cause__`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path


class StoreError(Exception):
    """The base class of the exceptions of the store."""


class StoreFailed(StoreError):
    """A read or a write failed and changed nothing. The same call may succeed later."""

    @property
    def disk_full(self) -> bool:
        """Whether the cause was a full disk."""
        code: int = getattr(self.__cause__, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_FULL


class StateInUse(StoreError, OSError):
    """Another daemon, or another hub, uses this state directory."""

    def __init__(self, directory: Path, owner: str) -> None:
        by = f"process {owner}" if owner else "another process"
        super().__init__(
            f"the state directory {directory} is in use by {by}; "
            "stop that process, or choose another state_directory"
        )


class WrongVersion(StoreError):
    """The database was made by another version of cucmd. The database was not changed."""

    def __init__(self, path: Path, found: int, expected: int) -> None:
        super().__init__(
            f"{path} has version {found} of the tables, but this cucmd expects {expected}; "
            "install the cucmd that made the file, or move the file away to begin without its jobs "
            f"(their collected files stay in {path.parent / 'jobs'})"
        )
