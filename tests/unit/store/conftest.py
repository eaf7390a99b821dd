"""Jobs to store, and a disk that fails or waits when a test says so."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.store.database import connect

NOW = datetime(2026, 11, 25, 12, 0, 0, 250, tzinfo=UTC)


class WatchedConnection:
    """Wraps a connection and calls the `Disk` before each statement."""

    def __init__(self, disk: Disk, connection: sqlite3.Connection) -> None:
        self._disk = disk
        self._connection = connection

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        self._disk.about_to(statement)
        return self._connection.execute(statement, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Disk:
    """Provides the `connect` of a store.

    Errors and the gate are about the commits of writes. With `good_statements`, an error is raised
    after that many statements of writes.
    """

    def __init__(self) -> None:
        self.error: str | None = None
        self.good_statements: int | None = None
        self.max_pages: int | None = None
        self.busy_milliseconds: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.at_gate = threading.Event()
        self.commits = 0
        self.statements: list[str] = []
        self._writers: set[int] = set()

    def connect(self, path: Path) -> Any:
        connection = connect(path)
        if self.max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {self.max_pages}")
        if self.busy_milliseconds is not None:
            connection.execute(f"PRAGMA busy_timeout = {self.busy_milliseconds}")
        connection.set_trace_callback(self.statements.append)
        return WatchedConnection(self, connection)

    def about_to(self, statement: str) -> None:
        thread = threading.get_ident()
        if statement == "BEGIN IMMEDIATE":
            self._writers.add(thread)
        if self.good_statements is not None and thread in self._writers:
            self.good_statements -= 1
            if self.good_statements < 0:
                raise sqlite3.OperationalError(self.error)
        if statement != "COMMIT" or thread not in self._writers:
            return
        self.at_gate.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise sqlite3.OperationalError(self.error)
        self.commits += 1


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "cucmd.db"


@pytest.fixture
def make_job() -> Callable[..., Job]:
    def make(job_id: str = "0a1b2c3d4e5f", nodes: int = 3, **fields: Any) -> Job:
        return Job(
            job_id,
            NOW,
            Collect(paths=("cm/trace/ccm/sdl/*",), since=NOW),
            Timeouts(command=900),
            8,
            tuple(Node(f"10.0.0.{number}:2022") for number in range(nodes)),
            username="administrator",
            timeouts_asked=("command",),
            **fields,
        )

    return make
