"""The nodes of a capture begin at the same moment, and nobody waits for one that does not come."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from cucmd.jobs.joint_run import JointRun
from cucmd.node.ports import READY_WITHIN


class Nodes:
    """Starts each node at its own time. `began` has None for one that was late."""

    def __init__(self, *names: str) -> None:
        self.joint_run = JointRun(names)
        self.began: dict[str, float | None] = {}

    async def come(self, name: str, after: float) -> None:
        await trio.sleep(after)
        begins = await self.joint_run.wait_for_start(name)
        self.began[name] = trio.current_time() if begins else None


def at(seconds: float) -> float:
    return pytest.approx(seconds, abs=1e-6)


async def play(
    nodes: Nodes, times: dict[str, float], then: Callable[[], Awaitable[None]] | None = None
) -> dict[str, float | None]:
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for name, after in times.items():
            nursery.start_soon(nodes.come, name, after)
        if then is not None:
            nursery.start_soon(then)
    return {name: None if time is None else time - began for name, time in nodes.began.items()}


async def test_all_begin_with_the_last(autojump_clock: MockClock) -> None:
    began = await play(Nodes("a", "b", "c"), {"a": 0, "b": 20, "c": 3})
    assert began == {"a": at(20), "b": at(20), "c": at(20)}


async def test_late_node(autojump_clock: MockClock) -> None:
    began = await play(Nodes("a", "b", "c"), {"a": 10, "b": 40, "c": 10 + READY_WITHIN + 1})
    assert began == {"a": at(10 + READY_WITHIN), "b": at(10 + READY_WITHIN), "c": None}


async def test_left_node_is_not_waited_for(autojump_clock: MockClock) -> None:
    nodes = Nodes("a", "b", "c")

    async def fail() -> None:
        await trio.sleep(7)
        nodes.joint_run.leave("c")

    began = await play(nodes, {"a": 0, "b": 1}, fail)
    assert began == {"a": at(7), "b": at(7)}


async def test_cancelled_node_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    nodes = Nodes("a", "b")
    with trio.move_on_after(3):
        await nodes.come("a", 0)
    assert not nodes.joint_run.has_begun
    # The time runs from the first of those that are still there.
    assert await play(nodes, {"b": READY_WITHIN}) == {"b": at(READY_WITHIN)}


async def test_stop_ends_working_nodes(
    autojump_clock: MockClock,
) -> None:
    joint_run = JointRun(("a", "b", "c"))
    ended: list[str] = []

    async def run(name: str) -> None:
        with joint_run.working(name), joint_run.until_stopped():
            await trio.sleep_forever()
        ended.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "a")
        nursery.start_soon(run, "b")
        await wait_all_tasks_blocked()
        assert (joint_run.stop(), joint_run.stopped) == (2, True)
        await wait_all_tasks_blocked()
        assert sorted(ended) == ["a", "b"]
        nursery.start_soon(run, "c")
    assert (len(ended), joint_run.stop()) == (3, 0)


async def test_stop_ends_preparing_nodes(
    autojump_clock: MockClock,
) -> None:
    joint_run = JointRun(("a", "b", "c"))
    done: list[str] = []

    async def come(name: str, seconds: float) -> None:
        with joint_run.preparing(name):
            await trio.sleep(seconds)
            with joint_run.working(name):
                await trio.sleep(5)
            done.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come, "a", 1)
        nursery.start_soon(come, "b", 100)
        await trio.sleep(2)
        assert joint_run.stop() == 1
        nursery.start_soon(come, "c", 0)
    assert done == ["a"]
