"""Limits: slots are given in the order of the requests, and are free again after use."""

import gc

import trio
from trio.testing import wait_all_tasks_blocked

from cucmd.config import Limits
from cucmd.jobs.services import Slots


async def test_a_node_has_no_more_sessions_than_allowed_over_all_jobs() -> None:
    slots = Slots(Limits(sessions_per_node=2))
    inside, most = 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with slots.session(("cucm-pub", 22), 2):
            inside += 1
            most = max(most, inside)
            await wait_all_tasks_blocked()
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(7):
            nursery.start_soon(work)
    assert most == 2


async def test_no_more_connections_at_once_than_allowed_over_all_nodes() -> None:
    slots = Slots(Limits(connections=2))
    inside, most = 0, 0

    async def work(host: str) -> None:
        nonlocal inside, most
        async with slots.session((host, 22), 1):
            inside += 1
            most = max(most, inside)
            await wait_all_tasks_blocked()
            inside -= 1

    async with trio.open_nursery() as nursery:
        for host in ("a", "b", "c", "d"):
            nursery.start_soon(work, host)
    assert most == 2


async def test_a_task_that_waits_for_a_busy_node_takes_no_connection() -> None:
    """Of two connections the busy node has one: exactly one more is left for the others."""
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


async def test_an_idle_node_is_forgotten() -> None:
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


async def test_a_cancelled_wait_takes_no_slot(autojump_clock: trio.testing.MockClock) -> None:
    slots = Slots(Limits(sessions_per_node=1))

    async def wait_in_vain() -> None:
        with trio.move_on_after(1) as scope:
            async with slots.session(("a", 22), 1):
                raise AssertionError("there was no place")
        assert scope.cancelled_caught

    async with slots.session(("a", 22), 1), trio.open_nursery() as nursery:
        nursery.start_soon(wait_in_vain)
    with trio.fail_after(1):
        async with slots.session(("a", 22), 1):
            pass


async def test_limits_can_change_while_jobs_run() -> None:
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
