"""A disk that is full or fails leaves files incomplete, and no descriptor open."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from cucmd.failure import Code
from cucmd.received_file import ReceivedFile
from cucmd.receiver.folder import TargetFolder
from cucmd.receiver.limits import Status


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_refuses_later_uploads(
    client: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    handle = client.open(b"a").handle
    monkeypatch.setattr(os, "pwrite", full)
    assert client.write(handle, 0, b"1").status == Status.FAILURE
    monkeypatch.undo()
    assert client.close(handle).status == Status.FAILURE
    assert client.received.refusal.code == Code.DISK_FULL
    assert client.open(b"b").status == Status.FAILURE


def test_failed_sync_leaves_file_incomplete(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    handle = client.open(b"a").handle
    client.write(handle, 0, b"1")
    monkeypatch.setattr(os, "fsync", broken)
    assert client.close(handle).status == Status.FAILURE
    assert not client.received.files()[0].closed
    assert client.received.refusal is None, "a defect of the disk is not a full one"


@pytest.fixture
def late_error(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Returns a function that makes the next close fail, as if an earlier write was not stored."""
    close = os.close

    def fails_once(descriptor: int) -> None:
        close(descriptor)
        monkeypatch.setattr(os, "close", close)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    return lambda: monkeypatch.setattr(os, "close", fails_once)


def test_failed_close_leaves_file_incomplete(
    client: Any, late_error: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The error starts after the sync of the folder, which closes a descriptor too.
    monkeypatch.setattr(TargetFolder, "sync_directory", lambda *_: late_error())
    handle = client.open(b"a").handle
    client.write(handle, 0, b"1")
    assert client.close(handle).status == Status.FAILURE
    assert not client.received.files()[0].closed
    assert (client.received.files_received, client.received.any_open) == (0, False)


def test_session_end_closes_all_files(client: Any, late_error: Callable[[], None]) -> None:
    for name in (b"a", b"b", b"c"):
        client.write(client.open(name).handle, 0, b"1")
    late_error()
    client.handler.close()  # the fixture checks that no descriptor is left
    assert not client.received.any_open
    assert [file.closed for file in client.received.files()] == [False] * 3


def test_bytes_before_full_disk_count(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite

    def three_bytes_are_left(fd: int, block: bytes, at: int) -> int:
        if at == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, block[:3], at)

    handle = client.open(b"a").handle
    monkeypatch.setattr(os, "pwrite", three_bytes_are_left)
    assert client.write(handle, 0, b"0123456789").status == Status.FAILURE
    monkeypatch.undo()
    client.close(handle)
    assert client.received.files() == (ReceivedFile("", "a", 3, sha(b"012"), False),)
    assert (client.folder / "a").stat().st_size == 3
