"""What can go wrong with the store, each with a message for the person who runs the daemon.

The one rule: nothing but these leaves the room; what SQLite said is in the message and the cause.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path


class StoreError(Exception):
    """Any of them."""


class StoreFailed(StoreError):
    """A read or a write did not happen; nothing of it did. The same call may work later."""

    @property
    def disk_full(self) -> bool:
        """Whether it was for want of room on the disk."""
        code: int = getattr(self.__cause__, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_FULL


class StateInUse(StoreError):
    """Another daemon works in this state directory."""

    def __init__(self, directory: Path, owner: str) -> None:
        by = f"process {owner}" if owner else "another process"
        super().__init__(
            f"the state directory {directory} is in use by {by}; "
            "stop that daemon, or choose another directory with --state-dir"
        )
        self.directory = directory


class StoreTooNew(StoreError):
    """The database is of a later cucmd. It was not touched."""

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(
            f"{path} has version {version}, and this cucmd knows versions up to {known}; "
            "install the later cucmd again, or move the file away to begin without its jobs"
        )
        self.path = path
        self.version = version
