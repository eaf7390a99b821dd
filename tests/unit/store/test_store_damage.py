"""A damaged database is set aside unchanged; the daemon starts with a new one and a notice."""

import errno
import os
import random
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cucmd.job.job import Job
from cucmd.store import StateInUse, StoreFailed, WrongVersion, open_store
from cucmd.store.database import connect, prepare
from cucmd.store.schema import VERSION

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MakeJob = Callable[..., Job]


@pytest.fixture
async def used(path: Path, make_job: MakeJob) -> Path:
    """Returns the path of a closed database with jobs."""
    async with open_store(path) as store:
        for number in range(50):
            await store.add_job(make_job(f"{number:012x}"))
    return path


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    path.write_bytes(b"not a database\n" * 4096)


def damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:20480] = random.Random(7).randbytes(16384)
    path.write_bytes(content)


def unmake_the_name_of_a_table(path: Path) -> None:
    """Damages the schema so that the error of SQLite is not UTF-8."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"tablenodenode", b"tablen\xe8denode", 1))


def rename_a_column(path: Path) -> None:
    """Flips a bit that SQLite's own check does not notice."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"completed_at TEXT", b"completed_au TEXT", 1))


def rename_a_foreign_key(path: Path) -> None:
    """Flips a bit that SQLite notices at the first write."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"job (position)", b"job (positioo)", 1))


def change_the_format(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[47] ^= 1 << 5  # the format of the schema, 1 to 4
    path.write_bytes(content)


def change_the_format_for_writing(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[18] ^= 1  # a file of a format above 2 is only read
    path.write_bytes(content)


def replace_by_another(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE somebody (elses)")


@pytest.mark.parametrize(
    "harm",
    [
        *[truncate, empty, overwrite, damage_pages],
        *[unmake_the_name_of_a_table, rename_a_column, rename_a_foreign_key, replace_by_another],
        *[change_the_format, change_the_format_for_writing],
    ],
)
async def test_damaged_database_is_set_aside(
    harm: Callable[[Path], None], used: Path, make_job: MakeJob
) -> None:
    harm(used)
    before = used.read_bytes()
    async with open_store(used) as store:
        (notice,) = store.notices
        kept = re.search(r"cucmd\.db\.damaged-\d{8}T\d{6}Z", notice)
        assert kept, notice
        assert (used.parent / kept[0]).read_bytes() == before
        assert await store.newest(9) == ()
        await store.add_job(make_job())
    async with open_store(used) as store:
        assert store.notices == ()
        assert await store.load("0a1b2c3d4e5f") == make_job()


def test_set_aside_database_is_kept(path: Path) -> None:
    contents = [f"damage {number}".encode() for number in range(3)]
    for content in contents:
        path.write_bytes(content)
        assert len(prepare(path, connect, NOW)) == 1
    kept = [entry.read_bytes() for entry in path.parent.glob("*.damaged-*")]
    assert sorted(kept) == contents


@pytest.mark.parametrize("damaged", [True, False])
def test_orphaned_journal_is_set_aside(path: Path, damaged: bool) -> None:
    path.with_name("cucmd.db-wal").write_bytes(b"journal")
    if damaged:
        path.write_bytes(b"damage")
    (notice,) = prepare(path, connect, NOW)
    assert ("cucmd.db was missing" in notice) != damaged
    kept = path.parent / "cucmd.db.damaged-20261125T120000Z-wal"
    assert kept.read_bytes() == b"journal"


async def test_journal_of_a_kill_is_applied(path: Path, tmp_path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job(nodes=200))
        left = tmp_path / "as it was left"
        left.mkdir()
        for name in ("cucmd.db", "cucmd.db-wal"):
            shutil.copy(path.with_name(name), left)
    async with open_store(left / "cucmd.db") as store:
        assert store.notices == ()
        assert await store.load("0a1b2c3d4e5f") == make_job(nodes=200)


async def test_incomplete_new_database_is_replaced(path: Path, make_job: MakeJob) -> None:
    path.with_name("cucmd.db.new").write_bytes(b"killed while it was made")
    path.with_name("cucmd.db.new-wal").write_bytes(b"with its journal")
    async with open_store(path) as store:
        assert store.notices == ()
        await store.add_job(make_job())
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        *("cucmd.db", "cucmd.lock", "cucmd.reserve")
    ]


@pytest.mark.parametrize("version", [0, 7, 9999])
async def test_other_version_is_refused(used: Path, version: int) -> None:
    with closing(sqlite3.connect(used)) as raw:
        raw.execute(f"PRAGMA user_version = {version}")
    before = used.read_bytes()
    with pytest.raises(WrongVersion) as raised:
        async with open_store(used):
            pass
    assert f"{used} has version {version} " in str(raised.value)
    assert f"expects {VERSION}; " in str(raised.value)
    assert used.read_bytes() == before
    assert not list(used.parent.glob("*damaged*"))


async def test_files_are_private(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job())
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert set(modes) >= {"cucmd.db", "cucmd.db-wal", "cucmd.lock"}
    assert set(modes.values()) == {0o600}


async def test_second_daemon_is_refused(used: Path) -> None:
    async with open_store(used):
        with pytest.raises(StateInUse, match=f"in use by process {os.getpid()}"):
            async with open_store(used):
                pass
    async with open_store(used) as store:
        assert store.notices == ()


async def test_read_only_directory_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(path: Path, *_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("cucmd.store.database.os.open", refuses)
        with pytest.raises(StoreFailed) as caught:
            async with open_store(tmp_path / "cucmd.db"):
                pass
    for named in (str(tmp_path), os.strerror(errno.EROFS), "state_directory"):
        assert named in str(caught.value)
