"""Makes the database file, checks it at every start, and moves it aside when it is damaged.

An existing database is never overwritten or deleted. Only one daemon works in a state directory:
before it reads anything there, it takes a lock, which the kernel releases when the process ends.
The hub of many sites does the same in its own state directory.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from cucmd.durable import sync_directory
from cucmd.store.errors import StateInUse, StoreFailed, WrongVersion
from cucmd.store.schema import APPLICATION_ID, TABLES, VERSION

Connect: TypeAlias = Callable[[Path], sqlite3.Connection]

# The files that SQLite keeps beside the database. They are part of it, so they are moved with it.
_COMPANIONS = ("-wal", "-shm")

# How long a write waits for another program that has locked the database file.
_BUSY_SECONDS = 5.0

# The errors of reading that a damaged file causes. SQLITE_ERROR says that its format has a number
# which SQLite does not know.
_OF_THE_FILE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)

# A checkpoint truncates the journal to this size. Without the limit, the journal would stay as
# large as the largest job has made it.
_JOURNAL_BYTES = 16 * 1024 * 1024

# SQLite's default is two megabytes of pages for each connection. That makes nothing faster here:
# few pages are read again soon, and the kernel caches the others.
_CACHE_KIB = 256


@contextmanager
def hold_state_directory(directory: Path) -> Iterator[None]:
    """Locks the state directory while the body runs. Raises `StateInUse` and `StoreFailed`.

    The lock file is not removed afterwards. Otherwise two daemons could lock different files of the
    same name.
    """
    try:
        descriptor = os.open(directory / "cucmd.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"cannot use the state directory {directory}: {error.strerror}"
        raise StoreFailed(f"{message}; choose another state_directory") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise StateInUse(directory, owner if owner.isdigit() else "") from None
        except OSError as error:
            message = f"cannot lock the state directory {directory}: {error.strerror}"
            raise StoreFailed(message) from error
        # The process id is for the message above. Writing it can fail on a full disk.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def connect(path: Path) -> sqlite3.Connection:
    """Returns a connection to an existing database. Raises `sqlite3.Error` if the file is missing.

    Without synchronous=FULL, a power failure would lose the last commits, since the database is in
    WAL mode.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,  # thread.py begins and ends each transaction itself
        check_same_thread=False,  # it may be closed in another thread, but never used in two
    )
    try:
        # SQLite keeps none of these settings in the file. Rows of a job are deleted together with
        # it by foreign keys, which SQLite ignores by default. An untrusted schema runs no functions
        # with side effects: the file may be damaged, or not be ours.
        connection.executescript(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
            f"PRAGMA cache_size = -{_CACHE_KIB};"
            f"PRAGMA journal_size_limit = {_JOURNAL_BYTES};"
        )
    except sqlite3.Error:  # this reads the schema, which can be damaged
        connection.close()
        raise
    connection.text_factory = _decode_text
    return connection


def _decode_text(stored: bytes) -> str:
    """Decodes text, with U+FFFD in place of bytes that are not UTF-8.

    By default sqlite3 raises for such bytes, and then no row of the query can be read.
    """
    return stored.decode(errors="replace")


def prepare(path: Path, connect: Connect, now: datetime) -> list[str]:
    """Makes sure that `path` is an undamaged database of the current version.

    A damaged database is moved aside, and a new one is made. Returns notices for the log about
    that. Raises `WrongVersion`, and `StoreFailed` for an error of the disk or of permissions. In
    both cases the file stays where it is.
    """
    notices = []
    try:
        reason = _find_damage(path)
        if reason is not None:
            notices.append(_set_aside(path, reason, now))
        if not path.exists():
            _make_database(path, connect)
    except (sqlite3.Error, OSError) as error:
        message = f"cannot open {path}: {error}"
        # SQLite says "disk I/O error" if there is no space for the files beside the database.
        with suppress(OSError):
            message += "; the disk is full" if os.statvfs(path.parent).f_bavail == 0 else ""
        raise StoreFailed(message) from error
    return notices


def _find_damage(path: Path) -> str | None:
    """Returns why the file cannot be used, or None if it can be used or does not exist.

    integrity_check reads the whole file, half a GB in a second, so that damage is found at the
    start and not in the middle of a job. quick_check would not do: it does not compare indexes with
    their tables, and a wrong index makes the first write fail. integrity_check does not notice a
    flipped bit in the name of a column, so the schema is compared with ours.
    """
    if not path.exists():
        # A journal without its database is damage too: SQLite would apply it to the new database.
        return "was missing" if any(map(Path.exists, _companion_paths(path))) else None
    try:
        # A read-only connection cannot change the file, not even with a checkpoint when it closes.
        uri = f"{path.absolute().as_uri()}?mode=ro"
        checking = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        with closing(checking) as connection:
            connection.text_factory = _decode_text
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                return "was not a database of cucmd"
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise WrongVersion(path, version, VERSION)
            with closing(sqlite3.connect(":memory:")) as undamaged:
                undamaged.executescript(TABLES)
                if _read_schema(connection) != _read_schema(undamaged):
                    return "was damaged (its tables are declared in another way)"
            with path.open("rb") as file:
                if file.read(19)[18:] > b"\2":  # SQLite would read this file, and write nothing
                    return "was damaged (its format cannot be written)"
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in _OF_THE_FILE:
            raise
        verdict = str(error)
    except UnicodeDecodeError:  # the message of SQLite quotes the damaged schema
        verdict = "its schema is not text"
    return None if verdict == "ok" else f"was damaged ({' '.join(verdict.split())[:200]})"


def _read_schema(connection: sqlite3.Connection) -> list[tuple[str | None, ...]]:
    """Returns the name and the SQL of each table, index and trigger."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"
    return connection.execute(query).fetchall()


def _set_aside(path: Path, reason: str, now: datetime) -> str:
    """Renames a damaged database and its companions. Returns a notice for the log."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    first = target = path.with_name(f"{path.name}.damaged-{stamp}")
    count = 1
    while any(map(Path.exists, (target, *_companion_paths(target)))):
        count += 1
        target = first.with_name(f"{first.name}-{count}")
    # The database is renamed first. If a kill comes in between, the next start finds a journal
    # without a database, which `_find_damage` recognizes.
    for source in (path, *_companion_paths(path)):
        if source.exists():
            source.rename(f"{target}{source.name.removeprefix(path.name)}")
    sync_directory(path.parent)
    return (
        f"{path.name} {reason}; it is kept as {target.name}, and a new database was made: "
        f"earlier jobs are no longer listed, but their files are still in {path.parent / 'jobs'}"
    )


def _make_database(path: Path, connect: Connect) -> None:
    """Makes a database under another name and renames it, so that `path` is never incomplete."""
    new = path.with_name(f"{path.name}.new")
    for leftover in (new, *_companion_paths(new)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(connect(new)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            f"{TABLES} COMMIT;"
        )
    new.rename(path)
    sync_directory(path.parent)


def _companion_paths(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _COMPANIONS]
