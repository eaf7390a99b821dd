"""`Export` by peers that nobody here wrote: what they send, how they read, and how many they are.

Whatever a peer does ends its own connection at most, and its hold of the job with it.
"""

import json
import socket
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import NamedTuple

import pytest

from cucmctl import JobBusy
from cucmd.config import Limits
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import running_lab
from rig.quiet import wait_until

pytestmark = pytest.mark.long

UNREAD = 5.0  # seconds; 60 in a daemon
SIZE = 3_000_000  # bytes of each of the two files: more than a socket holds
FILES = 2
AT_ONCE = Limits().watchers_per_uid
MIB = 1 << 20


class Case(NamedTuple):
    daemon: Daemon
    job_id: str

    def in_use(self) -> bool:
        """Says whether somebody holds the job: a prune leaves it alone."""
        with self.daemon.client() as client:
            return client.prune(keep=0, dry_run=True).jobs == ()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    odd = {"environ": {"CUCMD_TEST_UNREAD": str(UNREAD)}, "module": "rig.odd_daemon"}
    options = ("--files", str(FILES), "--size", str(SIZE))
    with (
        running_lab(1, *options) as lab,
        running_daemon(tmp_path_factory.mktemp("export") / "cucmd", CONFIG, **odd) as daemon,
        daemon.client() as client,
    ):
        job_id = client.wait(start(client, lab).job_id).job_id
        with client.export(job_id):
            pass  # closed, and its time stamps were looked at
        client.close()
        yield Case(daemon, job_id)


@pytest.fixture
def case(whole: Case) -> Iterator[Case]:
    """Afterwards nobody holds it, and it is exported whole."""
    wait_until(lambda: not whole.in_use())
    before = len(whole.daemon.descriptors())
    yield whole
    wait_until(lambda: not whole.in_use())
    wait_until(lambda: len(whole.daemon.descriptors()) <= before)
    with connected(whole) as peer:
        peer.sendall(request(whole))
        check(reply_of(peer), rest_of(peer))


def request(case: Case) -> bytes:
    call = {
        "method": "io.cucmd.Jobs.Export",
        "parameters": {"job_id": case.job_id},
        "upgrade": True,
    }
    return json.dumps(call).encode() + b"\0"


@contextmanager
def connected(case: Case) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(30)
        peer.connect(str(case.daemon.socket))
        yield peer


def reply_of(peer: socket.socket) -> dict:
    """Read byte by byte: what follows is the tar."""
    frame = b""
    while not frame.endswith(b"\0"):
        frame += peer.recv(1)
    return json.loads(frame[:-1])


def rest_of(peer: socket.socket) -> bytes:
    data = bytearray()
    try:
        while piece := peer.recv(MIB):
            data += piece
    except ConnectionResetError:  # it has not read all that we sent
        pass
    return bytes(data)


def check(reply: dict, tar: bytes) -> None:
    assert len(tar) == reply["parameters"]["length"]
    with tarfile.open(fileobj=BytesIO(tar)) as opened:
        sizes = [member.size for member in opened if member.name.count("/") > 1]
    assert sizes == [SIZE] * FILES


def test_bytes_after_the_reply_are_not_read(case: Case) -> None:
    with connected(case) as peer:
        peer.sendall(request(case))
        reply = reply_of(peer)
        peer.sendall(b"x")
        check(reply, rest_of(peer))


def test_a_peer_that_only_reads_any_more_gets_all_of_it(case: Case) -> None:
    with connected(case) as peer:
        peer.sendall(request(case))
        peer.shutdown(socket.SHUT_WR)
        check(reply_of(peer), rest_of(peer))


def test_a_peer_that_only_sends_any_more_ends_its_export(case: Case) -> None:
    with connected(case) as peer:
        peer.sendall(request(case))
        peer.shutdown(socket.SHUT_RD)
        wait_until(lambda: not case.in_use())


def test_a_peer_that_leaves_in_the_middle_ends_its_export(case: Case) -> None:
    for size in (0, 1, 100_000):
        with connected(case) as peer:
            peer.sendall(request(case))
            peer.recv(size, socket.MSG_WAITALL)


def test_a_reader_that_stops_loses_its_export_and_its_hold(case: Case) -> None:
    with connected(case) as peer:
        began = time.monotonic()
        peer.sendall(request(case))
        reply = reply_of(peer)
        with case.daemon.client() as client, pytest.raises(JobBusy):
            client.delete(case.job_id)
        wait_until(lambda: not case.in_use())
        assert time.monotonic() - began > UNREAD / 2
        assert len(rest_of(peer)) < reply["parameters"]["length"]
    assert "fewer than 65536 bytes were read" in case.daemon.log.read_text()


def test_many_exports_of_one_user_at_once_are_limited_and_all_whole(case: Case) -> None:
    before = case.daemon.memory()
    with ExitStack() as stack:
        peers = [stack.enter_context(connected(case)) for _ in range(AT_ONCE)]
        for peer in peers:
            peer.sendall(request(case))
        replies = [reply_of(peer) for peer in peers]
        with connected(case) as one_more:
            one_more.sendall(request(case))
            refused = reply_of(one_more)
        assert refused["error"] == "io.cucmd.Jobs.LimitReached"
        assert refused["parameters"]["limit"] == "watchers_per_uid"
        grown = case.daemon.memory() - before
        with ThreadPoolExecutor(AT_ONCE) as readers:  # one after the other, the last were cut off
            for reply, tar in zip(replies, readers.map(rest_of, peers), strict=True):
                check(reply, tar)
    assert grown < AT_ONCE * 2 * MIB
    print(f"{AT_ONCE} exports at once: {grown / MIB:.0f} MiB more")
