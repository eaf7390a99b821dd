"""An export by descriptors, by peers that misuse it, which are plain sockets: whatever they do ends
their own connection, and their hold of the job with it.
"""

import fcntl
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import JobBusy
from rig.collected import JOB_ID
from rig.exported import SMALL, UNREAD, Case, running
from rig.quiet import wait_until

ASK, AT_WORK = b"\1", b"\0"
BATCH = 64


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("peers"), SMALL) as case:
        yield case


@pytest.fixture
def case(whole: Case) -> Iterator[Case]:
    """Afterwards nobody holds the job, and the daemon has no file of it open."""
    yield whole
    wait_until(lambda: not whole.in_use())
    assert whole.open_files() == []


class Peer:
    """An export that has been begun."""

    def __init__(self, case: Case) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(case.daemon.socket))
        parameters = {"job_id": JOB_ID, "descriptors": True}
        call = {"method": "io.cucmd.Jobs.Export", "parameters": parameters, "upgrade": True}
        self.socket.sendall(json.dumps(call).encode() + b"\0")
        self.reply, _ = self.receive()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def receive(self) -> tuple[dict, list[int]]:
        """Reads a frame, with its descriptors. Does so byte by byte: bytes may follow."""
        frame, descriptors = b"", []
        while not frame.endswith(b"\0"):
            byte, came, _, _ = socket.recv_fds(self.socket, 1, BATCH)
            assert byte, "closed"
            frame += byte
            descriptors += came
        return json.loads(frame[:-1])["parameters"], descriptors

    def batch(self) -> tuple[dict, list[int]]:
        self.socket.sendall(ASK)
        batch, descriptors = self.receive()
        left = sum(document["size"] for document in batch.get("documents") or ())
        while left:
            left -= len(self.socket.recv(left))
        return batch, descriptors

    def is_closed(self) -> bool:
        try:
            while self.socket.recv(1 << 20):
                pass
        except ConnectionResetError:
            pass  # it has not read all that we sent
        return True


def test_descriptors_are_of_regular_files_and_can_only_be_read(case: Case) -> None:
    with Peer(case) as peer:
        batch, descriptors = peer.batch()
        assert len(batch["files"]) <= BATCH
        assert len(descriptors) == len(batch["files"])
        for file, descriptor in zip(batch["files"], descriptors, strict=True):
            with os.fdopen(descriptor, "rb") as opened:
                assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
                data = opened.read()
            assert len(data) == file["size"]
            assert file.get("sha256") in (None, hashlib.sha256(data).hexdigest())


def test_all_of_it_is_there_in_batches_and_the_last_is_empty(case: Case) -> None:
    count = 0
    with Peer(case) as peer:
        while True:
            batch, descriptors = peer.batch()
            for descriptor in descriptors:
                os.close(descriptor)
            if not batch["files"]:
                break
            wait_until(lambda: case.open_files() == [])  # it closes them once they are sent
            count += len(batch["files"])
        assert count == peer.reply["files"] + 1  # the transcript
        assert case.in_use(), "until it hangs up"
        peer.socket.sendall(ASK)
        assert peer.is_closed()


def test_the_job_is_not_deleted_meanwhile_and_what_is_open_can_be_read_after(
    tmp_path: Path,
) -> None:
    with running(tmp_path, SMALL) as own, own.daemon.client() as client:
        with Peer(own) as peer:
            batch, descriptors = peer.batch()
            with pytest.raises(JobBusy):
                client.delete(JOB_ID)
            assert own.in_use()
        wait_until(lambda: not own.in_use())
        client.delete(JOB_ID)
    assert not own.folder.exists()
    for file, descriptor in zip(batch["files"], descriptors, strict=True):
        with os.fdopen(descriptor, "rb") as opened:
            assert len(opened.read()) == file["size"]


@pytest.mark.parametrize("said", [b"x", b"{}\0", ASK + b"x"])
def test_bytes_that_ask_for_nothing_end_it(case: Case, said: bytes) -> None:
    with Peer(case) as peer:
        peer.socket.sendall(said)
        assert peer.is_closed()


def test_a_peer_that_asks_before_it_has_read_gets_no_more(case: Case) -> None:
    with Peer(case) as peer:
        for descriptor in peer.batch()[1]:
            os.close(descriptor)
        peer.socket.sendall(2 * ASK)
        wait_until(lambda: not case.in_use())
        _, descriptors = peer.receive()
        for descriptor in descriptors:
            os.close(descriptor)
        assert peer.socket.recv(1) == b""


@pytest.mark.long
def test_a_peer_that_never_asks_is_cut_off(case: Case) -> None:
    with Peer(case) as peer:
        assert case.in_use()
        assert peer.is_closed()
    assert "nobody has read" in case.daemon.log.read_text()


@pytest.mark.long
def test_a_peer_that_asks_and_never_reads_is_cut_off_with_one_batch(case: Case) -> None:
    peers = []
    for _ in range(8):
        peers.append(Peer(case))
        peers[-1].socket.sendall(ASK)
    wait_until(lambda: not case.in_use())
    for peer in peers:
        with peer:
            _, descriptors = peer.receive()
            for descriptor in descriptors:
                os.close(descriptor)
            assert len(descriptors) == BATCH
            assert peer.is_closed()


@pytest.mark.long
def test_a_peer_that_says_that_it_is_at_work_is_not_cut_off(case: Case) -> None:
    pace = threading.Event()  # never set
    with Peer(case) as peer:
        for _ in range(6):
            pace.wait(UNREAD / 3)
            peer.socket.sendall(AT_WORK)
        _, descriptors = peer.batch()
        for descriptor in descriptors:
            os.close(descriptor)


def test_verify_needs_descriptors_and_complete_files(case: Case) -> None:
    for more in ({"verify": True}, {"verify": True, "descriptors": True, "incomplete": True}):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(case.daemon.socket))
            parameters = {"job_id": JOB_ID, **more}
            call = {"method": "io.cucmd.Jobs.Export", "parameters": parameters, "upgrade": True}
            peer.sendall(json.dumps(call).encode() + b"\0")
            assert b"InvalidRequest" in peer.recv(10_000)
