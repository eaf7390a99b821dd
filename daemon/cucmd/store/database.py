"""Makes the database file, checks it at every start, and moves it aside when it is damaged.

A database that was there at the start is never overwritten and never deleted. One daemon works in
a state directory: it has a lock that the kernel releases when the process ends, and takes it before
it reads anything there.
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

# The files that SQLite keeps beside the database. They are part of it and are moved with it.
_COMPANIONS = ("-wal", "-shm")

# How long a write waits for another program that holds the lock of the file.
_BUSY_SECONDS = 5.0

# A checkpoint truncates the journal to this. Without it, one large job leaves it large for ever.
_JOURNAL_BYTES = 16 * 1024 * 1024

# SQLite's default is two megabytes of pages for each connection. Nothing here is faster for it:
# few pages are read again soon, and the kernel caches the others.
_CACHE_KIB = 256


@contextmanager
def hold_state_directory(directory: Path) -> Iterator[None]:
    """Holds the lock while the body runs. Raises `StateInUse`, `StoreFailed`.

    The file is not removed afterwards: two daemons could then each lock a file of that name.
    """
    try:
        descriptor = os.open(directory / "cucmd.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        said = f"cannot use the state directory {directory}: {error.strerror}"
        raise StoreFailed(f"{said}; another is given by --state-dir") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise StateInUse(directory, owner if owner.isdigit() else "") from None
        except OSError as error:
            said = f"cannot lock the state directory {directory}: {error.strerror}"
            raise StoreFailed(said) from error
        with suppress(OSError):  # a full disk; the number is only for the message above
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def connect(path: Path) -> sqlite3.Connection:
    """Connects to a database that exists. One that has vanished is an error, and not made anew.

    synchronous=FULL: in WAL mode anything less loses the last commits in a power cut.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # made in one thread, closed in another; used in one at a time
    )
    try:
        connection.executescript(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
            f"PRAGMA cache_size = -{_CACHE_KIB};"
            f"PRAGMA journal_size_limit = {_JOURNAL_BYTES};"
        )
    except sqlite3.Error:  # it reads the schema, which can be damaged
        connection.close()
        raise
    connection.text_factory = _text
    return connection


def _text(stored: bytes) -> str:
    """Decodes text, with U+FFFD in the place of what is not UTF-8. By default sqlite3 raises for
    that, and then none of the rows of the query can be read.
    """
    return stored.decode(errors="replace")


def prepare(path: Path, connect: Connect, now: datetime) -> list[str]:
    """Leaves an undamaged database at `path`, which is of the version that is known here.

    Returns notices for the log, such as that a damaged one was moved aside. Raises `WrongVersion`,
    and `StoreFailed` for an error of the disk or of permissions: the file stays where it is then.
    """
    notices = []
    try:
        reason = _damage(path)
        if reason is not None:
            notices.append(_set_aside(path, reason, now))
        if not path.exists():
            _make(path, connect)
    except (sqlite3.Error, OSError) as error:
        said = f"cannot open {path}: {error}"
        # SQLite says "disk I/O error" where it has no space for the files beside the database.
        with suppress(OSError):
            said += "; the disk is full" if os.statvfs(path.parent).f_bavail == 0 else ""
        raise StoreFailed(said) from error
    return notices


def _damage(path: Path) -> str | None:
    """Says why the file cannot be used. None if it can, or if there is no file.

    integrity_check reads the whole file, at half a GB a second: damage is found at the start, and
    not in the middle of a job. quick_check does not compare indexes with their tables; the first
    write would fail then.
    """
    if not path.exists():
        # SQLite would apply the journal of the missing database to a new one.
        return "was missing" if any(_companions(path)) else None
    try:
        # It cannot change the file, not even with a checkpoint when it closes.
        uri = f"{path.absolute().as_uri()}?mode=ro"
        checking = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        with closing(checking) as connection:
            connection.text_factory = _text
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                return "was not a database of cucmd"
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise WrongVersion(path, version, VERSION)
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        verdict = str(error)
    except UnicodeDecodeError:  # SQLite's message quotes the damaged schema
        verdict = "its schema is not text"
    return None if verdict == "ok" else f"was damaged ({' '.join(verdict.split())[:200]})"


def _set_aside(path: Path, reason: str, now: datetime) -> str:
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    first = target = path.with_name(f"{path.name}.damaged-{stamp}")
    count = 1
    while any(taken.exists() for taken in (target, *_named_companions(target))):
        count += 1
        target = first.with_name(f"{first.name}-{count}")
    # The database first. After a kill in between, the next start finds a journal without a
    # database, which `_damage` knows.
    for source in (path, *_companions(path)):
        if source.exists():
            source.rename(f"{target}{source.name.removeprefix(path.name)}")
    sync_directory(path.parent)
    return (
        f"{path.name} {reason}; what was there is kept as {target.name}, and a new one was made: "
        f"earlier jobs are no longer listed, their files are still in {path.parent / 'jobs'}"
    )


def _make(path: Path, connect: Connect) -> None:
    """Makes it under another name and renames it: `path` is a complete database or none."""
    new = path.with_name(f"{path.name}.new")
    for leftover in (new, *_named_companions(new)):
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


def _named_companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _COMPANIONS]


def _companions(path: Path) -> list[Path]:
    return [companion for companion in _named_companions(path) if companion.exists()]
