"""A push that is cut off leaves an incomplete file, and a revoked target takes no more."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.receiver import folder as folders
from cucmd.receiver.client_paths import Parts
from cucmd.receiver.messages import OpenKind
from rig import sftp_words as words

pytestmark = pytest.mark.long


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Returns a large sparse file, which takes no space on the disk."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)
    return path


@pytest.fixture
def pushing(target: Any, openssh: Any, large: Path, until: Any) -> Any:
    """Returns a function that starts sftp, and returns its process when the file is on the way."""

    async def start(nursery: trio.Nursery) -> trio.Process:
        batch = large.with_name("batch")
        batch.write_text(f"put {large} a\n")
        run = partial(
            trio.run_process,
            openssh.command("sftp", target, "-q", "-b", str(batch)),
            env=openssh.environ(target.target.password),
            capture_stderr=True,
            check=False,
        )
        process: trio.Process = await nursery.start(run)
        await until(lambda: target.target.bytes_received > 5_000_000)
        return process

    return start


def kill_children(pid: int) -> None:
    """Kills the ssh process of sftp, so that the connection just ends."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.long
async def test_killed_client_leaves_incomplete_file(target: Any, pushing: Any) -> None:
    async with trio.open_nursery() as nursery:
        process = await pushing(nursery)
        kill_children(process.pid)
        with trio.fail_after(10):
            await target.target.wait_files_closed()
    (file,) = target.target.files()
    assert not file.closed
    assert file.size == os.stat(target.folder / "a").st_size == target.target.bytes_received
    assert len(file.sha256) == 64


async def test_revoked_login_writes_nothing_more(
    target: Any, pushing: Any, openssh: Any, until: Any, connected: Any
) -> None:
    async with trio.open_nursery() as nursery:
        await pushing(nursery)
        with trio.fail_after(3):
            await target.target.aclose()
        files, size = target.target.files(), os.stat(target.folder / "a").st_size
        await until(lambda: not connected(target.port))
    assert [file.closed for file in files] == [False]
    assert (await openssh.sftp(target, "put /etc/hostname late\n")).returncode == 255
    assert os.stat(target.folder / "a").st_size == size
    assert target.target.files() == files
    assert target.names() == ["a"]


async def test_file_is_measured_while_disk_hangs(
    receiver: Any, open_target: Any, other: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk also hangs while the daemon opens the next file for the process that is killed."""
    hangs, goes_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def open_in(folder: Path, what: OpenKind, parts: Parts) -> int:
        if parts == ("next",):
            token.run_sync_soon(hangs.set)
            goes_on.wait(60)
        return folders.open_in(folder, what, parts)

    monkeypatch.setattr("cucmd.receiver.served_connection.open_in", open_in)
    opened = open_target(receiver)
    target = opened.target

    def push() -> None:
        with suppress(Exception), other.raw_sftp(opened) as raw:
            cut = raw.ask(words.open_file(1, b"cut")).handle
            raw.ask(words.write(2, cut, 0, b"12345"))
            raw.ask(words.open_file(3, b"next"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other.run, push)
        await hangs.wait()
        await target.aclose()
        files = target.files()
        goes_on.set()
    await until(lambda: not any("_open_in_thread" in one.name for one in threading.enumerate()))
    assert [(file.path, file.size, file.closed) for file in files] == [("cut", 5, False)]
