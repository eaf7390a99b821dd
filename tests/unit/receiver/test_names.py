"""The names of files have a budget, which is the memory that they really take."""

from __future__ import annotations

import gc
import hashlib
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cucmd.allowance import Quota
from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.filing import Manifest
from cucmd.jobs.node_work import NodeProgress
from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import MIB, ReceiverLimits, Status
from cucmd.receiver.names import Names, name_cost
from cucmd.receiver.received import Received, Side
from cucmd.store import open_store
from cucmd.worker.frames import Closed, Grant, OfLogin, Opened, Refuse, Stamped, WrongFrame, packet
from rig.sftp_client import DECODER
from rig.supervised import NOW

Make = Callable[..., Any]
LIMITS = ReceiverLimits(names=2 * MIB)
TOGETHER = ReceiverLimits(names_total=4 * name_cost("a"), names_share=2 * name_cost("a"))
PREFIX = "cucm-pub/files/"


def ordinary(number: int) -> str:
    return f"10.1.2.3/2026-11-25_09-00-00/cm/trace/ccm/sdl/SDL001_100_{number:06}.txt.gz"


def long(number: int) -> str:
    return f"{'x' * 250}/{'x' * 254}/{number:06}"


def wide(number: int) -> str:
    """512 bytes, and four bytes of memory for each of its characters."""
    return f"{'x' * 250}/{'x' * 250}/{number:06}\N{PILE OF POO}"


def short(number: int) -> str:
    return f"{number}"


def fill(side: Side, name: Callable[[int], str], *, again: bool = False) -> int:
    """Files of these names until no more is accepted; how many."""
    for number in itertools.count():
        named = name(number)
        stored = named + ".2" if again else named
        if isinstance(told(side, Opened("login", number, named, stored)), Refuse):
            return number
        told(side, Stamped("login", number, 1_700_000_000 + number))
        digest = hashlib.sha256(named.encode()).hexdigest()
        size = 10_000 + number
        told(side, Closed(login="login", number=number, size=size, sha256=digest, closed=True))
    raise AssertionError


def told(side: Side, frame: OfLogin) -> Grant | Refuse | None:
    """As it comes from another process: with texts of its own."""
    return side.take(DECODER.decode(packet(frame)))


class OneTarget:
    """An upload target, as far as the progress of a node needs it."""

    refusal = None

    def __init__(self, received: Received) -> None:
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


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
@pytest.mark.parametrize("name", [ordinary, long, wide, short])
async def test_the_budget_is_what_names_really_take_until_they_are_on_record(
    name: Callable[[int], str], again: bool, tmp_path: Path, traced: Callable[[], int]
) -> None:
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 1, (Node("cucm-pub"),))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        before = traced()
        received = Received(LIMITS, Quota(), Names(LIMITS), "cucm-pub", PREFIX)
        count = fill(Side(received, LIMITS), name, again=again) + 1
        progress = NodeProgress(lambda change: None, lambda: NOW)
        progress.upload_target(OneTarget(received))
        progress.complete(received.files())
        files = progress.take_files()
        assert len(files) == count
        await store.save_files(job.job_id, files)
        await Manifest(tmp_path).append(files)
        assert 0.6 < (traced() - before) / LIMITS.names < 1


def test_names_beyond_the_budget_are_refused_and_the_node_is_told_what_to_do(
    make_client: Make,
) -> None:
    client = make_client(names=2 * name_cost("a"))
    for name in (b"a", b"b"):
        assert client.put(name, b"1").status == Status.OK
    assert client.open(b"c").status == Status.FAILURE
    assert not (client.folder / "c").exists()
    refusal = client.received.refusal
    assert refusal.code is Code.QUOTA_EXCEEDED
    assert "limits." not in refusal.hint, "no setting of the configuration is behind it"


def test_a_long_name_leaves_room_for_fewer_others(make_client: Make) -> None:
    client = make_client(names=4 * name_cost("a"))
    assert client.open(b"x" * 250).handle
    assert client.open(b"y" * 250).handle
    assert client.open("\N{PILE OF POO}".encode() + b"z" * 200).status == Status.FAILURE
    assert client.open(b"z" * 200).status == Status.FAILURE, "the login is full now"


@pytest.fixture
def two() -> tuple[Received, Received]:
    """Two logins of a receiver whose names together may take four files."""
    names = Names(TOGETHER)
    one, other = (Received(TOGETHER, Quota(), names) for _ in range(2))
    return one, other


def test_where_all_names_together_are_too_many_each_login_still_has_its_share(
    two: tuple[Received, Received],
) -> None:
    greedy, modest = two
    assert fill(Side(greedy, TOGETHER), short) == 4
    assert greedy.refusal is not None
    assert greedy.refusal.code is Code.QUOTA_EXCEEDED
    assert fill(Side(modest, TOGETHER), short) == 2


def test_names_of_a_login_that_is_closed_are_counted_no_more(
    two: tuple[Received, Received],
) -> None:
    one, other = two
    side = Side(one, TOGETHER)
    count = fill(side, short) + 1
    one.close()
    one.close()
    told(side, Opened("login", count, "later", "later"))
    assert fill(Side(other, TOGETHER), short) == 4


def test_a_process_that_takes_files_beyond_its_limit_is_not_believed() -> None:
    limits = ReceiverLimits(names=100 * name_cost("x"))
    side = Side(Received(limits, Quota(), Names(limits)), limits)
    number = fill(side, lambda number: "x")
    with pytest.raises(WrongFrame):  # noqa: PT012  at some file before the ten-thousandth
        while number < 10_000:
            told(side, Closed(login="login", number=number, size=0, sha256="", closed=False))
            number += 1
            told(side, Opened("login", number, "x", "x"))
