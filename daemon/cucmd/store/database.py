"""The database file: made whole, checked at every start, set aside when it is damaged.

The one rule: a file that we did not make this minute is never overwritten and never deleted.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from cucmd.durable import sync_directory
from cucmd.store.errors import StoreFailed, StoreTooNew
from cucmd.store.schema import APPLICATION_ID, migrate, newest_version, version_of, wrong_schema

Connect: TypeAlias = Callable[[Path], sqlite3.Connection]

# What SQLite keeps beside the file; they belong to it and move with it.
_COMPANIONS = ("-wal", "-shm")

# How long a writer waits for a program that looks into the file and holds its lock.
_BUSY_SECONDS = 5.0

# A checkpoint cuts the journal back to this; without it one large job leaves it large for ever.
_JOURNAL_BYTES = 16 * 1024 * 1024

# SQLite would keep two megabytes of pages for each connection, which nothing here is faster for:
# what is asked for again soon is a few pages, and the kernel keeps the rest.
_CACHE_KIB = 256


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a database that is there: one that has vanished is an error, not a new one.

    synchronous=FULL: in WAL mode anything less loses the last commits when the power goes.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # made in one thread, closed in another; never used in two
    )
    connection.executescript(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
        f"PRAGMA cache_size = -{_CACHE_KIB};"
        f"PRAGMA journal_size_limit = {_JOURNAL_BYTES};"
    )
    connection.text_factory = _text
    return connection


def _text(stored: bytes) -> str:
    """A damaged character shows as U+FFFD. As sqlite3 reads text, it would hide every row of what
    was asked for.
    """
    return stored.decode(errors="replace")


def prepare(path: Path, connect: Connect, now: datetime) -> list[str]:
    """Leaves a sound database of today's version at `path`; returns what happened on the way.

    Raises StoreTooNew, and StoreFailed when the disk or the permissions forbid it: neither is
    damage, and the file stays where it is.
    """
    notices = []
    try:
        reason = _damage(path)
        if reason is not None:
            notices.append(_set_aside(path, reason, now))
        if not path.exists():
            _make(path, connect)
        with closing(connect(path)) as connection:
            migrate(connection)
    except (sqlite3.Error, OSError) as error:
        raise StoreFailed(f"cannot open {path}: {error}{_if_full(path.parent)}") from error
    return notices


def _if_full(directory: Path) -> str:
    """SQLite says "disk I/O error" where it finds no room for what it keeps beside the file."""
    try:
        full = os.statvfs(directory).f_bavail == 0
    except OSError:
        return ""
    return "; the disk is full" if full else ""


def _damage(path: Path) -> str | None:
    """Why the file cannot be used, or None; None too if there is none.

    integrity_check reads the whole file, at half a GB a second: what is wrong with it shows now,
    and not in the middle of a job. quick_check passes indexes that do not fit their tables, which
    the first write then fails at.
    """
    if not path.exists():
        # The next database must not meet the journal of the last: SQLite would play it back.
        return "was missing" if any(_companions(path)) else None
    try:
        with closing(_look(path)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                return "was not a database of cucmd"
            version = version_of(connection)
            if version > newest_version():
                raise StoreTooNew(path, version, newest_version())
            verdict = wrong_schema(connection)
            if verdict is None:
                (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict == "ok":
                verdict = _cut_off(path, connection) or verdict
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        verdict = str(error)
    except UnicodeDecodeError:  # SQLite's own message quotes the damaged schema
        verdict = "its schema is not text"
    return None if verdict == "ok" else f"was damaged ({_one_line(verdict)})"


def _cut_off(path: Path, connection: sqlite3.Connection) -> str | None:
    """What integrity_check does not see: it reads a page that is half there as if zeros followed.

    With a journal the rest may stand in there, and SQLite puts it back.
    """
    journal = path.with_name(f"{path.name}-wal")
    if journal.exists() and journal.stat().st_size:
        return None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    size, whole = path.stat().st_size, pages * page
    return f"cut off: {size} bytes of {whole}" if size < whole else None


def _look(path: Path) -> sqlite3.Connection:
    """A connection that cannot change the file, not even by a checkpoint when it closes."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.text_factory = _text
    return connection


def _set_aside(path: Path, reason: str, now: datetime) -> str:
    target = _free_name(path, now)
    # The database first: killed in between, the next start finds a journal without a database.
    for source in (path, *_companions(path)):
        if source.exists():
            source.rename(f"{target}{source.name.removeprefix(path.name)}")
    sync_directory(path.parent)
    return (
        f"{path.name} {reason}; what was there is kept as {target.name}, and a new one was made: "
        f"earlier jobs are no longer listed, their files are still in {path.parent / 'jobs'}"
    )


def _free_name(path: Path, now: datetime) -> Path:
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    first = path.with_name(f"{path.name}.damaged-{stamp}")
    name, count = first, 1
    while any(candidate.exists() for candidate in (name, *_named_companions(name))):
        count += 1
        name = first.with_name(f"{first.name}-{count}")
    return name


def _make(path: Path, connect: Connect) -> None:
    """Under another name, then renamed: at `path` there is a whole database or none."""
    unborn = path.with_name(f"{path.name}.new")
    for leftover in (unborn, *_named_companions(unborn)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(connect(unborn)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection)
    unborn.rename(path)
    sync_directory(path.parent)


def _named_companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _COMPANIONS]


def _companions(path: Path) -> list[Path]:
    return [companion for companion in _named_companions(path) if companion.exists()]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
