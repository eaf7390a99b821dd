"""Keeps what the agent must not forget about jobs of the hub, in an SQLite file.

The jobs themselves are in the daemon's database, and each has the label `hub` with the id of the
job at the hub. If this file is lost, the agent finds its jobs by that label. What is lost then is
which commands were refused, and which cancels came before their starts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cucmfleet.messages import Answer


class Record(msgspec.Struct, frozen=True):
    """Holds what is kept of a job of the hub.

    local_id   the id of the daemon's job; None if the daemon has no such job
    done       the number of the last command that was carried out or refused
    cancelled  it was cancelled before it was started
    answer     why the last refused command was refused
    """

    job_id: str
    local_id: str | None = None
    done: int = 0
    cancelled: bool = False
    answer: Answer | None = None


class AgentFile:
    """Reads and writes the file. `put` waits for the disk, so call it in a thread. Every method may
    raise `sqlite3.Error`.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE IF NOT EXISTS jobs (job_id TEXT PRIMARY KEY, record BLOB) STRICT;"
        )

    def close(self) -> None:
        self._database.close()

    def records(self) -> Iterator[Record]:
        for (record,) in self._database.execute("SELECT record FROM jobs ORDER BY rowid"):
            yield msgspec.json.decode(record, type=Record)

    def put(self, record: Record) -> None:
        values = (record.job_id, msgspec.json.encode(record))
        self._database.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?)", values)
