"""Limits: slots are given in the order of the requests, and are free again after use."""

import gc

import trio
from trio.testing import wait_all_tasks_blocked

from cucmd.config import Limits
from cucmd.jobs.services import Slots


async def test_waiting_for_busy_node_takes_no_connection() -> None:
    """The busy node has one of two connections, so exactly one is left for the others."""
    slots = Slots(Limits(connections=2, sessions_per_node=1))
    reached: list[str] = []
    async with trio.open_nursery() as nursery:

        async def hold(host: str) -> None:
            async with slots.session((host, 22), 1):
                reached.append(host)
                await trio.sleep_forever()

        for host in ("busy", "busy", "busy", "other", "one too many"):
            nursery.start_soon(hold, host)
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert reached == ["busy", "other"]


async def test_idle_node_is_forgotten() -> None:
    slots = Slots(Limits())

    async def visit(number: int) -> None:
        async with slots.session((f"node-{number}", 22), 2):
            pass

    await visit(0)
    before = len(gc.get_objects())
    for number in range(1000):
        await visit(number)
    gc.collect()
    assert len(gc.get_objects()) - before < 500


async def test_limits_change_while_jobs_run() -> None:
    slots = Slots(Limits(jobs=1))
    entered = trio.Event()

    async def second() -> None:
        async with slots.jobs:
            entered.set()

    async with trio.open_nursery() as nursery, slots.jobs:
        nursery.start_soon(second)
        await wait_all_tasks_blocked()
        assert not entered.is_set()
        slots.change_limits(Limits(jobs=2))
        await entered.wait()
