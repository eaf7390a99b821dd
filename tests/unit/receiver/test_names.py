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
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.limits import MIB, ReceiverLimits, Refused, Status
from cucmd.receiver.names import Names, name_cost
from cucmd.store import open_store
from rig.supervised import NOW

Make = Callable[..., Any]
LIMITS = ReceiverLimits(names=2 * MIB)
PREFIX = "cucm-pub/files/"


def ordinary(number: int) -> str:
    return f"10.1.2.3/2026-11-25_09-00-00/cm/trace/ccm/sdl/SDL001_100_{number:06}.txt.gz"


def long(number: int) -> str:
    return f"{number:06}{'x' * 506}"


def wide(number: int) -> str:
    """512 bytes, and four bytes of memory for each of its characters."""
    return f"{number:06}{'x' * 502}\N{PILE OF POO}"


def short(number: int) -> str:
    return f"{number}"


def fill(accounting: Accounting, name: Callable[[int], str], *, again: bool = False) -> int:
    """Files of these names until no more is accepted; how many."""
    for number in itertools.count():
        named = name(number)
        try:
            accounting.check_names(named)
        except Refused:
            return number
        file = accounting.begin(named, named + ".2" if again else named)
        file.size, file.modified = 10_000 + number, 1_700_000_000 + number
        accounting.end(file, hashlib.sha256(named.encode()).hexdigest(), closed=True)
    raise AssertionError


class OneTarget:
    """An upload target, as far as the progress of a node needs it."""

    refusal = None

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting

    def files(self) -> tuple[ReceivedFile, ...]:
        return self._accounting.files()


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
        accounting = Accounting("job/node", Quota(), LIMITS, "cucm-pub", PREFIX)
        count = fill(accounting, name, again=again)
        progress = NodeProgress(lambda change: None, lambda: NOW)
        progress.upload_target(OneTarget(accounting))
        progress.complete(accounting.files())
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
    refusal = client.accounting.refusal
    assert refusal.code is Code.QUOTA_EXCEEDED
    assert "limits." not in refusal.hint, "no setting of the configuration is behind it"


def test_a_long_name_leaves_room_for_fewer_others(make_client: Make) -> None:
    client = make_client(names=4 * name_cost("a"))
    assert client.open(b"x" * 250).handle
    assert client.open(b"y" * 250).handle
    assert client.open("\N{PILE OF POO}".encode() + b"z" * 200).status == Status.FAILURE
    assert client.open(b"z" * 200).status == Status.FAILURE, "the target is full now"


@pytest.fixture
def two() -> tuple[Accounting, Accounting]:
    """Two targets of a receiver whose names together may take four files."""
    limits = ReceiverLimits(names_total=4 * name_cost("a"), names_share=2 * name_cost("a"))
    names = Names(limits)
    one, other = (Accounting(name, Quota(), limits, names=names) for name in ("one", "other"))
    return one, other


def test_where_all_names_together_are_too_many_each_target_still_has_its_share(
    two: tuple[Accounting, Accounting],
) -> None:
    greedy, modest = two
    assert fill(greedy, short) == 4
    assert greedy.refusal is not None
    assert greedy.refusal.code is Code.QUOTA_EXCEEDED
    assert fill(modest, short) == 2


def test_names_of_a_target_that_is_closed_are_counted_no_more(
    two: tuple[Accounting, Accounting],
) -> None:
    one, other = two
    fill(one, short)
    late = one.begin("late", "late")  # its file was made while the target was closed
    one.close()
    one.close()
    one.begin("later", "later")
    one.end(late, "", closed=False)
    assert fill(other, short) == 4
