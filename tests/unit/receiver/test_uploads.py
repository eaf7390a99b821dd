"""A file from open to close, and requests that are refused."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from cucmd.allowance import Quota
from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import ReceiverLimits, Status
from cucmd.receiver.login_files import ConnectionFiles, FileCount, LoginFiles
from cucmd.receiver.messages import FileClosed, Open
from cucmd.receiver.sftp_packets import OpenFlag, PacketType
from rig import sftp_words as words


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_closed_file_is_complete(client: Any) -> None:
    content = os.urandom(5000)
    assert client.put(b"/a.log", content).status == Status.OK
    assert client.received.files() == (ReceivedFile("", "a.log", 5000, sha(content), True),)
    assert (client.received.files_received, client.received.bytes_received) == (1, 5000)
    assert (client.folder / "a.log").read_bytes() == content


def test_path_is_below_job_folder() -> None:
    limits = ReceiverLimits()
    received = LoginFiles(limits, Quota(), FileCount(), "cucm:22", "cucm_22/files/")
    files = ConnectionFiles(received, limits)
    for name in ("a", "a.2"):
        files.opened(Open("new file", name))
    files.answer(FileClosed(number=1, size=0, sha256=sha(b""), closed=True))
    assert received.files() == (
        ReceivedFile("cucm:22", "cucm_22/files/a", 0),
        ReceivedFile("cucm:22", "cucm_22/files/a.2", 0, sha(b""), closed=True),
    )


def test_open_file_is_incomplete(client: Any) -> None:
    client.write(client.open(b"a").handle, 0, b"12345")
    client.login.report_activity()
    (file,) = client.received.files()
    assert (file.closed, file.sha256) == (False, "")
    assert (client.received.files_received, client.received.bytes_received) == (0, 5)
    assert client.received.any_open


def test_session_end_leaves_file_incomplete(
    client: Any,
) -> None:
    client.write(client.open(b"a").handle, 0, b"12345")
    client.handler.close()
    assert client.received.files() == (ReceivedFile("", "a", 5, sha(b"12345"), False),)
    assert not client.received.any_open


def test_same_name_keeps_both_files(client: Any) -> None:
    client.put(b"a.log", b"first")
    client.put(b"a.log", b"second")
    assert [file.path for file in client.received.files()] == ["a.log", "a.log.2"]
    assert (client.folder / "a.log").read_bytes() == b"first"
    assert client.on_path(PacketType.STAT, b"a.log").size == len(b"second"), (
        "the client sees its last"
    )


def test_longest_path_can_be_numbered(client: Any) -> None:
    one, two = b"x" * 254, b"y" * 254
    longest = b"/".join((one, two, b"zz"))
    assert client.mkdir(one).status == client.mkdir(one + b"/" + two).status == Status.OK
    assert client.put(longest, b"1").status == Status.OK
    assert client.put(longest, b"2").status == Status.OK
    first, second = client.received.files()
    assert second.path == first.path + ".2"


def test_existing_file_is_kept(client: Any) -> None:
    (client.folder / "a.log").write_bytes(b"of an earlier run")
    client.put(b"a.log", b"new")
    assert (client.folder / "a.log").read_bytes() == b"of an earlier run"
    assert client.received.files()[0].path == "a.log.2"


@pytest.mark.parametrize(
    "flags",
    [
        OpenFlag.READ,
        OpenFlag.WRITE,
        OpenFlag.CREATE,
        words.PUT | OpenFlag.APPEND,
        OpenFlag.READ | OpenFlag.APPEND,
    ],
)
def test_only_creating_is_allowed(client: Any, flags: int) -> None:
    client.put(b"a", b"secret")
    assert client.open(b"a", flags).status == Status.PERMISSION_DENIED


@pytest.mark.parametrize(
    "flags", [OpenFlag.WRITE | OpenFlag.CREATE, words.PUT | OpenFlag.EXCLUSIVE]
)
def test_appending_is_refused(client: Any, flags: int) -> None:
    """OpenSSH's `reput` would write only the rest, into a new file."""
    client.write(client.open(b"a").handle, 0, b"half")
    assert client.open(b"a", flags).status == Status.FAILURE
    assert client.open(b"b", flags).kind == PacketType.HANDLE


@pytest.mark.parametrize(
    "kind",
    [
        PacketType.REMOVE,
        PacketType.RMDIR,
        PacketType.RENAME,
        PacketType.SYMLINK,
        PacketType.READLINK,
    ],
)
def test_nothing_can_be_removed(client: Any, kind: PacketType) -> None:
    client.put(b"a", b"1")
    reply = client.on_path(kind, b"a", words.string(b"b"))
    assert reply.status == Status.PERMISSION_DENIED
    assert [path.name for path in client.folder.iterdir()] == ["a"]


def test_unknown_request_is_unsupported(client: Any) -> None:
    assert client.ask(words.packet(77, 1)).status == Status.UNSUPPORTED
    assert client.put(b"a", b"1").status == Status.OK
