"""A file is complete only if the client closed it and nothing before that went wrong."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.received_file import ReceivedFile
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.folder import TargetFolder
from cucmd.receiver.limits import MIB, ReceiverLimits, Status
from cucmd.receiver.packets import Kind, OpenFlag, PacketBuffer
from rig import sftp_words as words

Make = Callable[..., Any]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_closed_file_is_complete_with_size_and_checksum(client: Any) -> None:
    content = os.urandom(5000)
    assert client.put(b"/a.log", content).status == Status.OK
    assert client.accounting.files() == (ReceivedFile("", "a.log", 5000, sha(content), True),)
    assert (client.accounting.files_received, client.accounting.bytes_received) == (1, 5000)
    assert (client.folder / "a.log").read_bytes() == content


def test_an_empty_file_is_complete(client: Any) -> None:
    client.put(b"empty", b"")
    assert client.accounting.files() == (ReceivedFile("", "empty", 0, sha(b""), True),)


def test_the_path_of_a_file_is_relative_to_the_jobs_directory() -> None:
    """Its node, and its path below the job's directory; open, it has the size of the moment."""
    accounting = Accounting("job/n", Quota(), ReceiverLimits(), "cucm:22", "cucm_22/files/")
    first, second = accounting.begin("a", "a"), accounting.begin("a", "a.2")
    second.size = 7
    accounting.end(second, "00", closed=True)
    first.size = 3
    assert accounting.files() == (
        ReceivedFile("cucm:22", "cucm_22/files/a", 3),
        ReceivedFile("cucm:22", "cucm_22/files/a.2", 7, "00", closed=True),
    )
    assert accounting.stored("a") == "a.2"


def test_an_open_file_is_not_complete_and_counts_as_bytes_only(client: Any) -> None:
    client.write(client.open(b"a").handle, 0, b"12345")
    (file,) = client.accounting.files()
    assert (file.size, file.closed, file.sha256) == (5, False, "")
    assert (client.accounting.files_received, client.accounting.bytes_received) == (0, 5)
    assert client.accounting.open_files == 1


def test_a_session_that_ends_leaves_its_file_incomplete_with_the_checksum_of_what_came(
    client: Any,
) -> None:
    client.write(client.open(b"a").handle, 0, b"12345")
    client.handler.close()
    assert client.accounting.files() == (ReceivedFile("", "a", 5, sha(b"12345"), False),)
    assert client.accounting.open_files == 0


def test_blocks_out_of_order_make_a_whole_file_with_the_right_checksum(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 3, b"def")
    client.write(handle, 0, b"abc")
    assert client.close(handle).status == Status.OK
    assert client.accounting.files() == (ReceivedFile("", "a", 6, sha(b"abcdef"), True),)


def test_a_block_written_again_changes_the_checksum(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 0, b"abc")
    client.write(handle, 1, b"X")
    client.close(handle)
    assert client.accounting.files()[0].sha256 == sha(b"aXc")


def test_a_file_with_a_gap_is_not_complete(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 1000, b"abc")
    reply = client.close(handle)
    assert (reply.status, reply.reason) == (Status.FAILURE, "the file did not arrive whole")
    assert not client.accounting.files()[0].closed


def test_an_empty_block_behind_the_end_changes_nothing(client: Any) -> None:
    handle = client.open(b"a").handle
    assert client.write(handle, 1, b"").status == Status.OK
    assert client.close(handle).status == Status.OK
    assert client.accounting.files() == (ReceivedFile("", "a", 0, sha(b""), True),)


@pytest.mark.parametrize("offset", [2**62, 2**64 - 1, 16 * MIB + 1])
def test_a_block_far_beyond_the_rest_is_refused_and_the_file_stays_small(
    client: Any, offset: int
) -> None:
    handle = client.open(b"a").handle
    assert client.write(handle, offset, b"x").status == Status.FAILURE
    assert client.write(handle, 0, b"x").status == Status.FAILURE, "after that it takes nothing"
    assert client.close(handle).status == Status.FAILURE
    assert (client.folder / "a").stat().st_size == 0
    assert not client.accounting.files()[0].closed


def test_two_files_of_one_name_are_kept_both(client: Any) -> None:
    client.put(b"a.log", b"first")
    client.put(b"a.log", b"second")
    assert [file.path for file in client.accounting.files()] == ["a.log", "a.log.2"]
    assert (client.folder / "a.log").read_bytes() == b"first"
    assert client.on_path(Kind.STAT, b"a.log").size == len(b"second"), "the client sees its last"


def test_an_existing_file_is_not_overwritten(client: Any) -> None:
    (client.folder / "a.log").write_bytes(b"of an earlier run")
    client.put(b"a.log", b"new")
    assert (client.folder / "a.log").read_bytes() == b"of an earlier run"
    assert client.accounting.files()[0].path == "a.log.2"


def test_the_same_name_without_end_is_refused(client: Any) -> None:
    for _ in range(100):
        client.put(b"a", b"")
    assert client.open(b"a").status == Status.FAILURE


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
def test_only_creating_and_writing_is_allowed(client: Any, flags: int) -> None:
    client.put(b"a", b"secret")
    assert client.open(b"a", flags).status == Status.PERMISSION_DENIED


@pytest.mark.parametrize(
    "flags", [OpenFlag.WRITE | OpenFlag.CREATE, words.PUT | OpenFlag.EXCLUSIVE]
)
def test_appending_to_an_existing_file_is_refused(client: Any, flags: int) -> None:
    """OpenSSH's `reput` would write the rest only, into a file of its own."""
    client.write(client.open(b"a").handle, 0, b"half")
    assert client.open(b"a", flags).status == Status.FAILURE
    assert client.open(b"b", flags).kind == Kind.HANDLE


def test_files_cannot_be_read(client: Any) -> None:
    handle = client.open(b"a", words.PUT | OpenFlag.READ).handle
    client.write(handle, 0, b"abc")
    packet = words.packet(Kind.READ, 9, words.string(handle), bytes(8), bytes([0, 0, 0, 3]))
    assert client.ask(packet).status == Status.PERMISSION_DENIED


@pytest.mark.parametrize(
    "kind", [Kind.REMOVE, Kind.RMDIR, Kind.RENAME, Kind.SYMLINK, Kind.READLINK]
)
def test_nothing_can_be_removed_renamed_or_linked(client: Any, kind: Kind) -> None:
    client.put(b"a", b"1")
    reply = client.on_path(kind, b"a", words.string(b"b"))
    assert reply.status == Status.PERMISSION_DENIED
    assert [path.name for path in client.folder.iterdir()] == ["a"]


def test_an_unknown_request_is_unsupported_and_the_session_goes_on(client: Any) -> None:
    assert client.ask(words.packet(77, 1)).status == Status.UNSUPPORTED
    assert client.put(b"a", b"1").status == Status.OK


def test_times_are_kept_and_a_size_cannot_be_set(client: Any) -> None:
    client.put(b"a", b"123")
    assert client.on_path(Kind.SETSTAT, b"a", words.set_times(5, 7)).status == Status.OK
    assert (client.folder / "a").stat().st_mtime == 7
    reply = client.on_path(Kind.SETSTAT, b"a", words.set_size(2**40))
    assert reply.status == Status.PERMISSION_DENIED
    assert (client.folder / "a").stat().st_size == 3


def test_times_of_a_file_of_another_login_are_left_alone(client: Any) -> None:
    path = client.folder / "a"
    path.write_bytes(b"of an earlier run")
    os.utime(path, (1, 1))
    reply = client.on_path(Kind.SETSTAT, b"a", words.set_times(5, 7))
    assert reply.status == Status.PERMISSION_DENIED
    assert path.stat().st_mtime == 1


# Limits.


def test_more_bytes_than_a_node_may_push_are_refused_and_none_of_them_written(
    make_client: Make,
) -> None:
    client = make_client(Quota(Allowance(10)))
    handle = client.open(b"a").handle
    assert client.write(handle, 0, b"1234567890").status == Status.OK
    assert client.write(handle, 10, b"1").status == Status.FAILURE
    assert client.close(handle).status == Status.FAILURE
    assert client.accounting.refusal.code is Code.QUOTA_EXCEEDED
    assert client.accounting.refusal.message == "more than 10 bytes for this node"
    assert (client.folder / "a").stat().st_size == 10
    assert client.open(b"b").status == Status.FAILURE, "no further file is begun"


def test_what_came_before_a_restart_counts_and_the_limit_is_named_as_configured(
    make_client: Make,
) -> None:
    client = make_client(Quota(Allowance(10, 8)))
    handle = client.open(b"a").handle
    assert client.write(handle, 0, b"12").status == Status.OK
    assert client.write(handle, 2, b"3").status == Status.FAILURE
    assert client.accounting.refusal.message == "more than 10 bytes for this node"


def test_the_quota_of_a_job_is_shared_by_its_targets(make_client: Make) -> None:
    allowance = Allowance(10)
    allowance.take(6)  # what another node of the job has pushed
    client = make_client(Quota(Allowance(100), allowance))
    handle = client.open(b"a").handle
    assert client.write(handle, 0, b"1234").status == Status.OK
    assert client.write(handle, 4, b"5").status == Status.FAILURE
    assert client.accounting.refusal.message == "more than 10 bytes for this job"


def test_handles_are_limited_over_all_sessions_of_a_target_and_come_back(make_client: Make) -> None:
    one, other = make_client(handles=3), make_client(handles=3)
    handles = [one.open(b"a").handle, other.open(b"b").handle, one.open(b"c").handle]
    assert other.open(b"d").status == Status.FAILURE
    assert other.on_path(Kind.OPENDIR, b"/").status == Status.FAILURE
    one.close(handles[0])
    assert other.open(b"d").kind == Kind.HANDLE


def test_few_folders_are_listed_at_once_over_all_sessions_of_a_target(make_client: Make) -> None:
    """Each open listing keeps the entries that were not sent yet; a client has one open."""
    client, other = make_client(listings=2), make_client(listings=2)
    first = client.on_path(Kind.OPENDIR, b"/").handle
    assert client.on_path(Kind.OPENDIR, b"/nothing").status == Status.NO_SUCH_FILE
    assert client.on_path(Kind.OPENDIR, b"/").handle
    assert other.on_path(Kind.OPENDIR, b"/").status == Status.FAILURE
    assert other.open(b"a").handle, "files can be opened nevertheless"
    assert client.close(first).status == Status.OK
    assert other.on_path(Kind.OPENDIR, b"/").handle
    client.handler.close()
    assert other.on_path(Kind.OPENDIR, b"/").handle


def test_the_number_of_handles_is_limited(client: Any) -> None:
    asked = [words.open_file(number, b"%d" % number) for number in range(3000)]
    given = [reply for reply in client.say(b"".join(asked)) if reply.kind == Kind.HANDLE]
    assert len(given) == 32


def test_files_and_directories_without_end_are_refused(make_client: Make) -> None:
    client = make_client(files=2, directories=2)
    for name in (b"a", b"b"):
        assert client.put(name, b"").status == Status.OK
        assert client.mkdir(b"d" + name).status == Status.OK
    assert client.open(b"c").status == Status.FAILURE
    assert client.mkdir(b"dc").status == Status.FAILURE
    refusal = client.accounting.refusal
    assert (refusal.code, refusal.message) == (Code.QUOTA_EXCEEDED, "more than 2 files")
    assert "limits." not in refusal.hint, "no setting of the configuration is behind it"


def test_a_revoked_target_writes_nothing_more(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 0, b"123")
    client.accounting.revoke()
    assert client.say(words.write(2, handle, 3, b"456") + words.open_file(1, b"b")) == []
    client.handler.close()
    assert (client.folder / "a").read_bytes() == b"123"
    assert not client.accounting.files()[0].closed


def test_a_long_row_of_listings_is_answered_in_bounded_pieces(client: Any) -> None:
    for number in range(100):
        (client.folder / f"{'x' * 200}{number}").touch()
    asked = b""
    for number in range(1, 30):
        asked += words.on_path(Kind.OPENDIR, number, b"/")
        asked += words.on_handle(Kind.READDIR, number, number.to_bytes(4, "big"))
        asked += words.on_handle(Kind.CLOSE, number, number.to_bytes(4, "big"))
    packets = deque(PacketBuffer().feed(asked))
    pieces = []
    while packets:
        pieces.append(client.handler.answer(packets))
    assert len(pieces) > 1
    assert max(map(len, pieces)) < 512 * 1024
    names = [reply for reply in words.replies(b"".join(pieces)) if reply.kind == Kind.NAME]
    assert [len(reply.names) for reply in names] == [100] * 29


# The disk.


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_refuses_this_and_every_later_upload(
    client: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    handle = client.open(b"a").handle
    monkeypatch.setattr(os, "pwrite", full)
    assert client.write(handle, 0, b"1").status == Status.FAILURE
    monkeypatch.undo()
    assert client.close(handle).status == Status.FAILURE
    assert client.accounting.refusal.code is Code.DISK_FULL
    assert client.open(b"b").status == Status.FAILURE


def test_a_disk_that_fails_to_keep_the_file_leaves_it_incomplete(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    handle = client.open(b"a").handle
    client.write(handle, 0, b"1")
    monkeypatch.setattr(os, "fsync", broken)
    assert client.close(handle).status == Status.FAILURE
    assert not client.accounting.files()[0].closed
    assert client.accounting.refusal is None, "a defect of the disk is not a full one"


@pytest.fixture
def late_error(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After the call, the next close fails as if an earlier write was not stored."""
    close = os.close

    def fails_once(descriptor: int) -> None:
        close(descriptor)
        monkeypatch.setattr(os, "close", close)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    return lambda: monkeypatch.setattr(os, "close", fails_once)


def test_an_error_at_close_leaves_the_file_incomplete(
    client: Any, late_error: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is closed before, once its name is on the disk, is the folder of the file.
    monkeypatch.setattr(TargetFolder, "sync_directory", lambda *_: late_error())
    handle = client.open(b"a").handle
    client.write(handle, 0, b"1")
    assert client.close(handle).status == Status.FAILURE
    assert not client.accounting.files()[0].closed
    assert (client.accounting.files_received, client.accounting.open_files) == (0, 0)


def test_a_session_that_ends_on_a_failing_disk_closes_its_files(
    client: Any, late_error: Callable[[], None]
) -> None:
    for name in (b"a", b"b", b"c"):
        client.write(client.open(name).handle, 0, b"1")
    late_error()
    client.handler.close()  # that no descriptor is left is seen to by the fixture
    assert client.accounting.open_files == 0
    assert [file.closed for file in client.accounting.files()] == [False] * 3


def test_a_write_that_the_kernel_takes_in_parts_is_written_whole(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, block, at: pwrite(fd, block[:3], at))
    client.put(b"a", b"0123456789")
    assert (client.folder / "a").read_bytes() == b"0123456789"


def test_what_was_written_before_the_disk_was_full_is_counted(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert client.accounting.files() == (ReceivedFile("", "a", 3, sha(b"012"), False),)
    assert (client.folder / "a").stat().st_size == 3
