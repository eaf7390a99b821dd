"""What each user may hold, and whose turn it is."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from cucmd.varlink import Caller
from cucmd.varlink.limits import (
    BYTE,
    CONNECTION,
    CREDIT,
    MOST_OWED,
    PIECE,
    OverLimit,
    SocketLimits,
    Users,
)

ROOT, OURS, ALICE, BOB = 0, 990, 1000, 1001


# What is held


def users(**limits: int) -> Users:
    return Users(SocketLimits(**limits), frozenset({ROOT, OURS}))


def test_a_user_at_the_limit_does_not_limit_others() -> None:
    held = users(requests=2)
    with held.hold(ALICE, "requests"), held.hold(ALICE, "requests"):
        with pytest.raises(OverLimit) as caught, held.hold(ALICE, "requests"):
            pass
        assert (caught.value.limit, caught.value.maximum) == ("requests", 2)
        with held.hold(BOB, "requests"), held.hold(ALICE, "streams"):
            pass
    with held.hold(ALICE, "requests"):
        pass


def test_a_place_is_free_again_after_a_failure_and_not_taken_by_who_is_refused() -> None:
    held = users(connections=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), held.hold(ALICE, "connections"):
            raise ZeroDivisionError
    for _ in range(3):
        with held.hold(ALICE, "connections"), pytest.raises(OverLimit):
            held.hold(ALICE, "connections").__enter__()


# Turns


async def decode(held: Users, uid: int, price: float) -> float:
    """Takes a turn that costs so much. Returns when that was."""
    await held.wait(uid)
    held.charge(uid, price)
    return trio.current_time()


async def test_a_user_waits_until_it_is_free_and_nobody_else_does(
    autojump_clock: MockClock,
) -> None:
    held, begun = users(), trio.current_time()
    await decode(held, ALICE, 5.0)
    assert await decode(held, BOB, 5.0) == begun
    assert await decode(held, ALICE, 5.0) == begun + 5
    assert await decode(held, ALICE, 5.0) == begun + 10


async def test_a_few_calls_after_a_pause_never_wait(autojump_clock: MockClock) -> None:
    held, begun = users(), trio.current_time()
    for _ in range(5):
        assert await decode(held, ALICE, CREDIT / 5) == begun
    assert await decode(held, ALICE, CREDIT) == begun
    assert await decode(held, ALICE, CREDIT) == pytest.approx(begun + 2 * CREDIT)


async def test_a_long_pause_earns_nothing(autojump_clock: MockClock) -> None:
    held = users()
    await decode(held, ALICE, 1.0)
    await trio.sleep(1000)
    begun = await decode(held, ALICE, 1.0)
    assert await decode(held, ALICE, 1.0) == begun + 1


async def test_turns_of_a_user_come_in_the_order_of_its_calls(autojump_clock: MockClock) -> None:
    held, begun, order = users(), trio.current_time(), []

    async def take(name: int) -> None:
        order.append((name, await decode(held, ALICE, 1.0) - begun))

    async with trio.open_nursery() as nursery:
        for name in range(5):
            nursery.start_soon(take, name)
            await trio.testing.wait_all_tasks_blocked()
    assert order == [(name, float(name)) for name in range(5)]


async def test_whoever_is_cancelled_while_it_waits_leaves_the_turn(
    autojump_clock: MockClock,
) -> None:
    held = users()
    begun = await decode(held, ALICE, 5.0)
    with trio.move_on_after(1):
        await decode(held, ALICE, 5.0)
    assert await decode(held, ALICE, 5.0) == begun + 5


async def test_who_connects_too_often_is_refused_until_it_has_paid(
    autojump_clock: MockClock,
) -> None:
    held, count = users(), 0
    while not held.refuses(ALICE):
        held.charge(ALICE, CONNECTION)
        count += 1
    assert count * CONNECTION == pytest.approx(MOST_OWED, abs=2 * CONNECTION)
    assert not held.refuses(BOB)
    await trio.sleep(2 * CONNECTION)
    assert not held.refuses(ALICE)


async def test_what_a_user_owes_is_remembered_when_others_come(autojump_clock: MockClock) -> None:
    held = users()
    held.charge(ALICE, 2 * MOST_OWED)
    for uid in range(2000, 2100):
        held.charge(uid, CONNECTION)
    assert held.refuses(ALICE)


async def test_root_and_the_servers_own_user_never_wait(autojump_clock: MockClock) -> None:
    held, begun = users(), trio.current_time()
    for uid in (ROOT, OURS):
        held.charge(uid, 100.0)
        assert not held.refuses(uid)
        assert await decode(held, uid, 100.0) == begun


async def seconds_for(frames: list[dict | bytes], peer: object) -> float:
    begun = trio.current_time()
    await peer.send(*frames)
    assert len(await peer.finish()) == len(frames)
    return trio.current_time() - begun


async def test_calls_and_their_bytes_are_charged_to_the_caller(
    connect: Callable, call: Callable, autojump_clock: MockClock
) -> None:
    calls = [call("Who")] * 300
    long = b'{"method":"io.example.Test.Who"' + b" " * 500_000 + b"}\0"
    root = Caller(ROOT, 0, frozenset(), 1)
    assert await seconds_for([*calls, long], connect(root)) == 0
    assert await seconds_for(calls, connect()) > 2 * len(calls) * PIECE - CREDIT
    await trio.sleep(MOST_OWED)
    assert await seconds_for([long, call("Who")], connect()) > 500_000 * BYTE
