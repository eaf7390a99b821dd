"""The process of an export: what its client gets, and what the daemon is told."""

import hashlib
import os
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from cucmd.reading.job_files import check_files, send_tar
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.frames import (
    CheckedFile,
    CheckFiles,
    ExportDamaged,
    ExportMoved,
    ExportPart,
    ExportParts,
    FileChecked,
    FromExporting,
    encode_frame,
    frame_length,
)

BLOCK = tarfile.BLOCKSIZE
SAID = msgspec.msgpack.Decoder(FromExporting | FileChecked)
SIZES = (0, 1, 511, 512, 513, 128 * 1024, 128 * 1024 + 1, 3_000_000, 5)


class Process:
    """Runs a role in a thread, and is the daemon for it."""

    def __init__(self, role: Callable[[Channel], None]) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(30)
        self._thread = threading.Thread(target=self._run, args=(role, theirs))
        self._thread.start()

    @staticmethod
    def _run(role: Callable[[Channel], None], theirs: socket.socket) -> None:
        with theirs, suppress(DaemonGone):
            role(Channel(theirs))

    def give(self, connection: socket.socket) -> None:
        socket.send_fds(self._ours, [b"\0"], [connection.fileno()])

    def send(self, frame: msgspec.Struct) -> None:
        self._ours.sendall(encode_frame(frame))

    def receive(self) -> FromExporting | FileChecked:
        length = frame_length(self._ours.recv(4, socket.MSG_WAITALL))
        return SAID.decode(self._ours.recv(length, socket.MSG_WAITALL))

    def wants(self) -> ExportMoved:
        """Returns what it says when it wants the next parts."""
        while not getattr(said := self.receive(), "wants", True):
            pass
        assert isinstance(said, ExportMoved)
        return said

    def ended(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self._ours.close()
        self.ended()


@pytest.fixture
def sending() -> Iterator[tuple[Process, socket.socket]]:
    """Yields the process of an export, and its client."""
    process = Process(send_tar)
    client, theirs = socket.socketpair()
    with client, theirs:
        theirs.setblocking(False)
        process.give(theirs)
        assert process.wants() == ExportMoved(0, wants=True)
        yield process, client
    process.close()


def part(path: Path, size: int | None = None) -> ExportPart:
    return ExportPart(b"head", os.fsencode(path), path.stat().st_size if size is None else size)


def test_heads_files_and_padding_are_sent(sending, tmp_path):
    process, client = sending
    expected, parts = b"document", [ExportPart(b"document")]
    for number, size in enumerate(SIZES):
        path = tmp_path / str(number)
        path.write_bytes(os.urandom(size))
        parts.append(part(path))
        expected += b"head" + path.read_bytes() + bytes(-size % BLOCK)
    process.send(ExportParts(tuple(parts)))
    assert client.recv(len(expected), socket.MSG_WAITALL) == expected
    assert process.wants().size == len(expected)


def test_moved_bytes_are_told_meanwhile(sending, tmp_path):
    process, _ = sending
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 1 << 24)
    process.send(ExportParts((part(path),)))
    while not (said := process.receive()).size:  # it is told again each second
        pass
    assert isinstance(said, ExportMoved)
    assert not said.wants


def as_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("other")


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def longer(path: Path) -> None:
    path.write_bytes(b"longer")


CHANGES = {
    Path.unlink: "is gone",
    as_link: "is no regular file",
    as_fifo: "is no regular file",
    as_folder: "is no regular file",
    longer: "has 6 bytes, 3 were received",
}


@pytest.mark.parametrize(("change", "why"), CHANGES.items())
def test_a_changed_file_ends_it(sending, tmp_path, change, why):
    process, _ = sending
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    (tmp_path / "other").write_bytes(b"abc")
    change(path)
    process.send(ExportParts((ExportPart(b"before"), part(path, 3))))
    assert process.receive() == ExportDamaged(os.fsencode(path), why)
    process.ended()


def test_a_client_that_leaves_ends_it(sending, tmp_path):
    process, client = sending
    path = tmp_path / "file"
    path.write_bytes(bytes(3_000_000))
    process.send(ExportParts((part(path),)))
    client.close()
    process.ended()


def test_a_daemon_that_leaves_ends_it(sending):
    process, _ = sending
    process.close()


@pytest.mark.parametrize(("change", "why"), [(lambda _: None, None), *CHANGES.items()])
def test_a_file_is_compared(tmp_path, change, why):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    (tmp_path / "other").write_bytes(b"abc")
    asked = CheckedFile(os.fsencode(path), 3, hashlib.sha256(b"abc").hexdigest())
    change(path)
    process = Process(check_files)
    process.send(CheckFiles((asked,)))
    assert process.receive() == FileChecked(why)
    process.close()


def test_other_bytes_are_noticed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abd")
    process = Process(check_files)
    process.send(CheckFiles((CheckedFile(os.fsencode(path), 3, "0" * 64),)))
    assert process.receive() == FileChecked("has another checksum")
    process.close()
