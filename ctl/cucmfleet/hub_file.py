"""Keeps what was asked at the hub in an SQLite file. NATS has copies only.

A call of the hub is answered once its request and its commands are in this file. What is not yet in
NATS is sent as soon as NATS can be reached. If a stream was lost, what it had is sent again: see
`forget_sent`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import trio

from cucmd.store import StartKey, StoreFailed
from cucmfleet.messages import Asked, Command

T = TypeVar("T")

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY, asked BLOB NOT NULL, in_nats INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS keys (
    owner INTEGER, name TEXT, digest TEXT NOT NULL, job_id TEXT NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT;
CREATE TABLE IF NOT EXISTS commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL, site TEXT NOT NULL,
    command BLOB, in_nats INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS to_send ON commands (in_nats) WHERE NOT in_nats;
CREATE INDEX IF NOT EXISTS of_job ON commands (job_id, site) WHERE NOT done;
CREATE TABLE IF NOT EXISTS ended (
    job_id TEXT, site TEXT, retries INTEGER, PRIMARY KEY (job_id, site)
) STRICT;
CREATE TABLE IF NOT EXISTS streams (name TEXT PRIMARY KEY, created TEXT NOT NULL) STRICT;
"""


class HubFile:
    """Reads and writes the file. Every method waits for the disk, in a thread, and may raise
    `StoreFailed`.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._one = trio.CapacityLimiter(1)

    def close(self) -> None:
        self._database.close()

    async def jobs(self) -> list[Asked]:
        """Returns all jobs, the oldest first."""
        rows = await self._read("SELECT asked FROM jobs ORDER BY rowid")
        decoder = msgspec.json.Decoder(Asked)
        return [decoder.decode(asked) for (asked,) in rows]

    async def find_key(self, key: StartKey) -> tuple[str, str] | None:
        """Returns the digest and the job of an earlier call with this key, or None."""
        sql = "SELECT digest, job_id FROM keys WHERE owner = ? AND name = ?"
        rows = await self._read(sql, key.owner, key.name)
        return (rows[0][0], rows[0][1]) if rows else None

    async def add(
        self, commands: Sequence[Command], asked: Asked | None = None, key: StartKey | None = None
    ) -> list[Command]:
        """Stores commands, with the job that they start, and returns them with their numbers."""

        def write(db: sqlite3.Connection) -> list[Command]:
            if asked is not None:
                db.execute(
                    "INSERT INTO jobs (job_id, asked) VALUES (?, ?)",
                    (asked.job_id, msgspec.json.encode(asked)),
                )
            if key is not None:
                values = (key.owner, key.name, key.digest, commands[0].job_id)
                db.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", values)
            numbered = []
            for command in commands:
                row = db.execute(
                    "INSERT INTO commands (job_id, site) VALUES (?, ?)",
                    (command.job_id, command.site),
                )
                whole = msgspec.structs.replace(command, number=row.lastrowid or 0)
                body = msgspec.json.encode(whole)
                db.execute("UPDATE commands SET command = ? WHERE number = ?", (body, whole.number))
                numbered.append(whole)
            return numbered

        return await self._run(write)

    async def to_send(self, skip: Iterable[str] = ()) -> tuple[list[Asked], list[Command]]:
        """Returns the jobs that are not in NATS, and the first such commands, in their order.

        skip  sites whose commands are left out
        """
        # The commands first: the job of each command that is read is then in NATS, or read too.
        commands = await self._read(
            "SELECT command FROM commands WHERE NOT in_nats"
            " AND site NOT IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT 1000",
            json.dumps(list(skip)),
        )
        jobs = await self._read("SELECT asked FROM jobs WHERE NOT in_nats ORDER BY rowid")
        return [msgspec.json.decode(row[0], type=Asked) for row in jobs], [
            msgspec.json.decode(row[0], type=Command) for row in commands
        ]

    async def job_sent(self, job_id: str) -> None:
        await self._write("UPDATE jobs SET in_nats = 1 WHERE job_id = ?", job_id)

    async def command_sent(self, number: int) -> None:
        await self._write("UPDATE commands SET in_nats = 1 WHERE number = ?", number)

    async def done(self, job_id: str, site: str, number: int) -> None:
        """Notes that the site has carried out its commands for the job up to this number."""
        await self._write(
            "UPDATE commands SET done = 1, in_nats = 1"
            " WHERE NOT done AND job_id = ? AND site = ? AND number <= ?",
            *(job_id, site, number),
        )

    async def ends(self) -> dict[tuple[str, str], int]:
        """Returns after how many retries each part of a job has ended, if EV has that end."""
        rows = await self._read("SELECT job_id, site, retries FROM ended")
        return {(job_id, site): retries for job_id, site, retries in rows}

    async def keep_end(self, job_id: str, site: str, retries: int) -> None:
        await self._write("INSERT OR REPLACE INTO ended VALUES (?, ?, ?)", job_id, site, retries)

    async def forget_sent(self, *, jobs: bool = False, commands: bool = False) -> None:
        """Notes that NATS has lost the jobs, or the commands that were not carried out."""
        if jobs:
            await self._write("UPDATE jobs SET in_nats = 0")
        if commands:
            await self._write("UPDATE commands SET in_nats = 0 WHERE NOT done")

    async def stream_created(self, name: str) -> str | None:
        """Returns when the stream was created that the hub saw last, as NATS has said it."""
        sql = "SELECT created FROM streams WHERE name = ?"
        rows = await self._read(sql, name)
        return str(rows[0][0]) if rows else None

    async def keep_stream_created(self, name: str, created: str) -> None:
        await self._write("INSERT OR REPLACE INTO streams VALUES (?, ?)", name, created)

    async def _write(self, sql: str, *values: object) -> None:
        await self._run(lambda db: db.execute(sql, values))

    async def _read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return await self._run(lambda db: db.execute(sql, values).fetchall())

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` in a transaction, in a thread."""

        def run() -> T:
            try:
                with self._database:
                    self._database.execute("BEGIN IMMEDIATE")
                    return work(self._database)
            except sqlite3.Error as error:
                raise StoreFailed(f"the hub's file: {error}") from error

        return await trio.to_thread.run_sync(run, limiter=self._one)
