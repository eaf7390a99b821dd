"""The file writer keeps the order of bytes, and a hanging disk delays only tasks that wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from cucmd.node.file_writer import FileWriter, open_file_writer


class File:
    """Notes the bytes that it gets. While `disk` is clear, writing to it hangs."""

    def __init__(self, disk: threading.Event | None = None) -> None:
        self.written = b""
        self.calls = 0
        self.closed = False
        self.reached = threading.Event()
        self._disk = disk

    def append(self, data: bytes) -> None:
        assert not self.closed
        self.reached.set()
        if self._disk is not None:
            self._disk.wait()
        self.calls += 1
        self.written += data

    def close(self) -> None:
        self.closed = True


class Broken(File):
    def append(self, data: bytes) -> None:
        raise OSError(5, "broken")


@pytest.fixture
async def writer() -> Iterator[FileWriter]:
    with open_file_writer() as writer:
        yield writer


@pytest.fixture
def disk() -> Iterator[threading.Event]:
    disk = threading.Event()
    yield disk
    disk.set()


async def held(writer: FileWriter, disk: threading.Event) -> File:
    """Appends to a file, and returns the file when the thread waits for its disk."""
    file = File(disk)
    writer.append(file, b"held")
    await trio.to_thread.run_sync(file.reached.wait)
    return file


async def test_writes_in_order(writer: FileWriter) -> None:
    files = [File() for _ in range(50)]
    for number in range(200):
        for file in files:
            writer.append(file, b"%d " % number)
        if number % 50 == 7:
            await writer.written(files[0])
    for file in files:
        await writer.close(file)
    assert {file.written for file in files} == {b"".join(b"%d " % n for n in range(200))}
    assert all(file.closed for file in files)
    assert writer.waiting == 0


async def test_writes_though_no_task_waits(writer: FileWriter) -> None:
    file = File()
    writer.append(file, b"a line\n")
    assert await trio.to_thread.run_sync(file.reached.wait, 60)


async def test_writes_together_after_pause(writer: FileWriter, disk: threading.Event) -> None:
    await held(writer, disk)
    other = File()
    for _ in range(1000):
        writer.append(other, b"x")
    disk.set()
    await writer.close(other)
    assert (other.written, other.calls) == (b"x" * 1000, 1)


async def test_hanging_disk_delays_no_append(writer: FileWriter, disk: threading.Event) -> None:
    file = await held(writer, disk)
    before = writer.waiting
    writer.append(file, b", then more")
    assert writer.waiting > before > 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.close, file)
        await trio.testing.wait_all_tasks_blocked()
        assert not file.closed
        disk.set()
    assert (file.written, file.closed, writer.waiting) == (b"held, then more", True, 0)


async def test_cancelled_wait_loses_nothing(writer: FileWriter, disk: threading.Event) -> None:
    file = await held(writer, disk)
    writer.append(file, b", more")
    with trio.CancelScope() as scope:
        scope.cancel()
        await writer.written(file)
    assert scope.cancelled_caught
    disk.set()
    await writer.written(file)
    assert file.written == b"held, more"


async def test_close_is_not_cancelled(writer: FileWriter) -> None:
    file = File()
    writer.append(file, b"a line\n")
    with trio.CancelScope() as scope:
        scope.cancel()
        await writer.close(file)
    assert (file.written, file.closed) == (b"a line\n", True)


async def test_failing_file_disturbs_no_other(writer: FileWriter, disk: threading.Event) -> None:
    await held(writer, disk)
    broken, other = Broken(), File()
    writer.append(broken, b"x")
    writer.append(other, b"y")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.close, other)
        disk.set()
        with pytest.raises(OSError, match="broken"):
            await writer.close(broken)
    assert (broken.closed, other.written) == (True, b"y")


async def test_stopped_writer_writes_all() -> None:
    file = File()
    with open_file_writer() as writer:
        threads = set(threading.enumerate())
        writer.append(file, b"a line\n")
        (thread,) = (one for one in threads if one.name == "cucmd-files")
    await trio.to_thread.run_sync(thread.join, 60)
    assert not thread.is_alive()
    assert file.written == b"a line\n"
