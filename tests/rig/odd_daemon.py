"""Runs `cucmd` with faults that a test chooses by environment variables.

    CUCMD_TEST_FAULT    a file. While it exists, every commit fails with its text as SQLite's error.
                        If the text begins with "read: ", reads fail instead
    CUCMD_TEST_TARGETS  a file to which the passwords of upload targets are appended, one a line
    CUCMD_TEST_CLOCK    a file with the seconds by which the wall clock is off, read each time
    CUCMD_TEST_SIGNALS  `open_store SIGHUP SIGUSR1`: a function, and the signals that are sent when
                        it is called
    CUCMD_TEST_KILLED   `before add_job` or `after reopen_job`: the daemon is killed before or after
                        this method of the store
    CUCMD_TEST_UNREAD   the seconds within which an export must move
    CUCMD_TEST_DEFECT   the text of an OSError that is raised after the start
    CUCMD_TEST_STRUCTS  a file for the names of structs that msgspec prepares in other threads

Without these variables it is plain `cucmd`.
"""

import os
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import trio
from msgspec import _utils

from cucmd.cases import export_sender
from cucmd.jobs import deletion, job_run
from cucmd.main import main
from cucmd.node.ports import NodeTask, UploadTarget
from cucmd.plan import planner as planning
from cucmd.service import daemon as service
from cucmd.service.wiring import NodePorts
from cucmd.store import Store, open_store
from cucmd.store.database import connect
from cucmd.work import collect as procedure


class FailingConnection:
    def __init__(self, connection: sqlite3.Connection, fault: Path) -> None:
        self._connection = connection
        self._fault = fault
        self._writes = False

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement.startswith("BEGIN"):
            self._writes = statement == "BEGIN IMMEDIATE"
        fault = self._fault.read_text() if self._fault.exists() else ""
        reading = fault.startswith("read: ")
        fails = statement.lstrip().startswith("SELECT") if reading else statement == "COMMIT"
        if fault and fails and (reading or self._writes):
            raise sqlite3.OperationalError(fault.removeprefix("read: "))
        return self._connection.execute(statement, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def failing(fault: Path) -> Callable[[Path], AbstractAsyncContextManager[Store]]:
    def open_failing_store(path: Path) -> AbstractAsyncContextManager[Store]:
        return open_store(path, connect=lambda path: FailingConnection(connect(path), fault))

    return open_failing_store


def interrupted(open_part: Callable[..., Any], numbers: list[signal.Signals]) -> Callable[..., Any]:
    def open_meanwhile(*arguments: Any) -> Any:
        for number in numbers:
            os.kill(os.getpid(), number)
        return open_part(*arguments)

    return open_meanwhile


def failing_with(error: Exception) -> Callable[..., Awaitable[None]]:
    async def fail(*_: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise error

    return fail


def noting_passwords(targets: Path) -> Callable[[NodePorts, NodeTask, str], UploadTarget]:
    open_upload_target = NodePorts.open_upload_target

    def open_and_note(self: NodePorts, task: NodeTask, address: str) -> UploadTarget:
        target = open_upload_target(self, task, address)
        with targets.open("a") as file:
            file.write(f"{target.password}\n")
        return target

    return open_and_note


def killing(store: type[Store], when: str, method: str) -> None:
    """Makes the daemon kill itself before or after a method of the store."""
    whole = getattr(store, method)

    async def call_and_end(*arguments: Any) -> None:
        if when == "after":
            await whole(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(store, method, call_and_end)


def noting_structs(file: Path) -> None:
    """Replaces the code of a function of msgspec, which refers to the function itself."""
    function = _utils.get_class_annotations
    whole = type(function)(function.__code__, vars(_utils))

    def note(struct: object) -> object:
        if threading.current_thread() is not threading.main_thread():
            with file.open("a") as opened:
                opened.write(f"{struct}\n")
        return whole(struct)

    vars(_utils)["note"] = note  # the new code looks up names in the module of msgspec
    function.__code__ = call_note.__code__


def call_note(struct: object) -> object:
    return note(struct)  # type: ignore[name-defined]  # noqa: F821  # of another module: see above


def clock_of(off: Path) -> type[datetime]:
    class OddClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=float(off.read_text()))

    return OddClock


if __name__ == "__main__":
    if "CUCMD_TEST_FAULT" in os.environ:
        service.open_store = failing(Path(os.environ["CUCMD_TEST_FAULT"]))
    if "CUCMD_TEST_TARGETS" in os.environ:
        NodePorts.open_upload_target = noting_passwords(Path(os.environ["CUCMD_TEST_TARGETS"]))
    if "CUCMD_TEST_CLOCK" in os.environ:
        odd = clock_of(Path(os.environ["CUCMD_TEST_CLOCK"]))
        for module in (job_run, planning, procedure, deletion):
            module.datetime = odd
    if "CUCMD_TEST_SIGNALS" in os.environ:
        function, *names = os.environ["CUCMD_TEST_SIGNALS"].split()
        numbers = [signal.Signals[name] for name in names]
        setattr(service, function, interrupted(getattr(service, function), numbers))
    if "CUCMD_TEST_KILLED" in os.environ:
        killing(Store, *os.environ["CUCMD_TEST_KILLED"].split())
    if "CUCMD_TEST_UNREAD" in os.environ:
        export_sender.SECONDS = float(os.environ["CUCMD_TEST_UNREAD"])
    if "CUCMD_TEST_STRUCTS" in os.environ:
        noting_structs(Path(os.environ["CUCMD_TEST_STRUCTS"]))
    if "CUCMD_TEST_DEFECT" in os.environ:
        service.return_free_memory = failing_with(OSError(os.environ["CUCMD_TEST_DEFECT"]))
    raise SystemExit(main())
