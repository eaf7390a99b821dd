"""How many files a login may have here, and all together."""

from __future__ import annotations

import gc
import hashlib
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cucmd.allowance import Quota
from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.node_work import NodeProgress
from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import MIB, ReceiverLimits, Status
from cucmd.receiver.login_files import ConnectionFiles, FileCount, LoginFiles
from cucmd.receiver.messages import AskBytes, BytesReceived, FileClosed, FromProcess, Open, TimeSet
from cucmd.store import open_store
from cucmd.worker.frames import encode_packet
from rig.supervised import NOW

DECODER = msgspec.msgpack.Decoder(FromProcess)
Make = Callable[..., Any]
# The unit's memory limit counts on it (tests/system/test_units.py).
MEMORY_OF_A_FILE = 1300
TOGETHER = ReceiverLimits(files_total=4, files_share=2)


def longest(number: int) -> str:
    return f"{'x' * 250}/{'x' * 254}/{number:06}"


def widest(number: int) -> str:
    """Returns the longest path that is not ASCII; each of its characters takes four bytes."""
    return f"{'x' * 90}/{number:06}\N{PILE OF POO}"


def fill(received: LoginFiles, limits: ReceiverLimits, name: Callable[[int], str] = str) -> int:
    """Files of these names until no more is accepted; how many."""
    files = ConnectionFiles(received, limits)
    told(files, AskBytes(0))
    told(files, BytesReceived(MIB))  # more than the size of any
    for number in itertools.count():
        asked = DECODER.decode(encode_packet(Open("new file", name(number))))
        assert isinstance(asked, Open)
        if files.check_open(asked) is not None:
            return number
        files.opened(asked)
        told(files, TimeSet(number, 1_700_000_000 + number))
        digest = hashlib.sha256(asked.path.encode()).hexdigest()
        told(files, FileClosed(number=number, size=10_000 + number, sha256=digest, closed=True))
    raise AssertionError


def told(files: ConnectionFiles, frame: FromProcess) -> None:
    """Tells it as it comes from another process: with texts of its own."""
    files.answer(DECODER.decode(encode_packet(frame)))


class OneTarget:
    """An upload target, as far as the progress of a node needs it."""

    refusal = None

    def __init__(self, received: LoginFiles) -> None:
        self._received = received

    def files(self) -> tuple[ReceivedFile, ...]:
        return self._received.files()


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """The most memory since the fixture was made."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


@pytest.mark.parametrize("name", [longest, widest])
async def test_a_file_with_the_longest_path_takes_little_memory_until_it_is_on_record(
    name: Callable[[int], str], tmp_path: Path, traced: Callable[[], int]
) -> None:
    limits = ReceiverLimits(files=1500)
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 1, (Node("cucm-pub"),))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        before = traced()
        received = LoginFiles(limits, Quota(), FileCount(), "cucm-pub", "cucm-pub/files/")
        assert fill(received, limits, name) == limits.files
        progress = NodeProgress(lambda change: None, lambda: NOW)
        progress.upload_target(OneTarget(received))
        progress.complete_files(received.files())
        files = progress.take_files()
        await store.save_files(job.job_id, files)
        assert (traced() - before) / len(files) < MEMORY_OF_A_FILE


def test_files_beyond_the_limit_are_refused_and_the_node_is_told_what_to_do(
    make_client: Make,
) -> None:
    client = make_client(files=2)
    for name in (b"a", b"b"):
        assert client.put(name, b"1").status == Status.OK
    assert client.open(b"c").status == Status.FAILURE
    assert not (client.folder / "c").exists()
    refusal = client.received.refusal
    assert refusal.code == Code.QUOTA_EXCEEDED
    assert "limits." not in refusal.hint, "no setting of the configuration is behind it"


@pytest.fixture
def two() -> tuple[LoginFiles, LoginFiles]:
    """Two logins of a receiver that together may have four files."""
    together = FileCount()
    one, other = (LoginFiles(TOGETHER, Quota(), together) for _ in range(2))
    return one, other


def test_where_all_files_together_are_too_many_each_login_still_has_its_share(
    two: tuple[LoginFiles, LoginFiles],
) -> None:
    greedy, modest = two
    assert fill(greedy, TOGETHER) == 4
    assert greedy.refusal is not None
    assert greedy.refusal.code == Code.QUOTA_EXCEEDED
    assert fill(modest, TOGETHER) == 2


def test_files_of_a_login_that_is_closed_are_counted_no_more(
    two: tuple[LoginFiles, LoginFiles],
) -> None:
    one, other = two
    fill(one, TOGETHER)
    one.close()
    one.close()
    one.opened(Open("new file", "later"))
    assert fill(other, TOGETHER) == 4
