"""How fast nodes have sent their files is kept with their end, and outlives the job."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.run import Run
from cucmd.job.timeouts import Timeouts
from cucmd.job.work import Work
from cucmd.store import Store, nodes, open_store

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
COLLECT = Collect(("x",))


async def sent(
    store: Store,
    name: str,
    size: int,
    seconds: float,
    *,
    number: int = 1,
    after: int = 0,
    work: Work = COLLECT,
    fails: bool = False,
) -> Job:
    """Stores a job whose node sent `size` bytes in `seconds`, and ends `after` seconds past NOW."""
    then = NOW + timedelta(seconds=after)
    job = Job(f"{number:012x}", NOW, work, Timeouts(), 8, (Node(name),))
    await store.add_job(job)
    at_work = Node(name, bytes_received=size, transfer_seconds=seconds).begin(NOW, 1)
    ended = at_work.fail(then, failure(Code.STALLED, "x")) if fails else at_work.succeed(then)
    done = job.begin(NOW).replace_node(0, ended, then)
    await store.save(job, done)
    return done


async def test_the_rate_of_a_node_is_that_of_its_last_job_in_every_spelling(path: Path) -> None:
    async with open_store(path) as store:
        assert await store.rate("pub") is None
        await sent(store, "pub", 30_000_000, 10, number=1, after=10)
        await sent(store, "PUB.:22", 40_000_000, 10, number=2, after=20)
        await sent(store, "pub", 90_000_000, 10, number=3, after=15)  # had ended before the second
        await sent(store, "pub:2022", 50_000_000, 10, number=4)
    async with open_store(path) as again:
        assert await again.rate("pub") == 4_000_000
        assert await again.rate("pub:2022") == 5_000_000


@pytest.mark.parametrize(
    ("size", "seconds", "fields"),
    [
        (nodes.LEAST_BYTES - 1, 1, {}),
        (nodes.LEAST_BYTES, 0, {}),
        (nodes.LEAST_BYTES, 1, {"fails": True}),
        (nodes.LEAST_BYTES, 1, {"work": Collect(("x",), compress=True)}),
        (nodes.LEAST_BYTES, 1, {"work": Run(("show status",))}),
    ],
    ids=["small", "no-time", "failed", "packed", "commands"],
)
async def test_what_says_nothing_of_the_line_is_no_rate(
    path: Path, size: int, seconds: float, fields: dict[str, object]
) -> None:
    async with open_store(path) as store:
        await sent(store, "pub", size, seconds, **fields)
        assert await store.rate("pub") is None
        await sent(store, "pub", nodes.LEAST_BYTES, 2, number=2, after=1)
        await sent(store, "pub", size, seconds, number=3, after=2, **fields)
        assert await store.rate("pub") == nodes.LEAST_BYTES / 2


async def test_it_stays_when_the_job_is_deleted(path: Path) -> None:
    async with open_store(path) as store:
        done = await sent(store, "pub", 20_000_000, 4)
        await store.close_job(done.job_id)
        await store.begin_deletion(done.job_id, record=True)
        await store.end_deletion(done.job_id)
        assert await store.load(done.job_id) is None
        assert await store.rate("pub") == 5_000_000


async def test_the_oldest_are_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "MOST_RATES", 3)
    async with open_store(path) as store:
        for number in range(1, 6):
            await sent(store, f"n{number}", 20_000_000, 4, number=number, after=number)
        known = [await store.rate(f"n{number}") is not None for number in range(1, 6)]
    assert known == [False, False, True, True, True]
