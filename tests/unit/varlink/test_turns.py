"""Turns: one frame of a user at a time, and a rest after it."""

import pytest
import trio
import trio.testing

from cucmd.varlink.turns import CREDIT, REST, Turns

Clock = trio.testing.MockClock
ALICE, BOB = 1000, 1001


class Worker:
    """Frames of `cost` seconds, of which `at` has the times when they were decoded."""

    def __init__(self, cost: float) -> None:
        self.turns = Turns(clock=lambda: self.spent)
        self.spent = 0.0
        self.cost = cost
        self.at: list[float] = []

    async def decode(self, uid: int = ALICE) -> None:
        await self.turns.wait(uid)
        with self.turns.measured(uid):
            self.at.append(trio.current_time())
            self.spent += self.cost


@pytest.fixture
def slow() -> Worker:
    return Worker(cost=0.02)


async def test_a_user_gets_its_share_over_all_its_connections(
    slow: Worker, autojump_clock: Clock
) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(64):
            nursery.start_soon(slow.decode)
    begun, *_, last = slow.at
    assert last - begun == pytest.approx(63 * slow.cost * REST)


async def test_frames_of_another_user_do_not_wait(slow: Worker, autojump_clock: Clock) -> None:
    await slow.decode(ALICE)
    begun = trio.current_time()
    await slow.decode(BOB)
    assert trio.current_time() == begun


async def test_a_rest_holds_although_the_user_has_left_meanwhile(
    slow: Worker, autojump_clock: Clock
) -> None:
    begun = trio.current_time()
    for _ in range(10):
        await slow.decode(ALICE)
        await slow.decode(BOB)
    assert trio.current_time() - begun == pytest.approx(9 * slow.cost * REST)


async def test_users_who_have_rested_are_forgotten(slow: Worker, autojump_clock: Clock) -> None:
    for uid in range(2000, 2100):
        await slow.decode(uid)
    await trio.sleep(1)
    await slow.decode(ALICE)
    assert len(slow.turns._turns) == 1


async def test_ordinary_calls_never_wait(autojump_clock: Clock) -> None:
    quick = Worker(cost=0.00001)  # a status takes 3 microseconds
    begun = trio.current_time()
    for _ in range(int(CREDIT / (quick.cost * REST))):
        await quick.decode()
    assert trio.current_time() == begun


async def test_a_frame_that_cannot_be_decoded_costs_its_time_too(
    slow: Worker, autojump_clock: Clock
) -> None:
    async def fail() -> None:
        await slow.turns.wait(ALICE)
        with slow.turns.measured(ALICE):
            slow.spent += slow.cost
            raise ZeroDivisionError

    begun = trio.current_time()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await fail()
    await slow.decode()
    assert trio.current_time() - begun == pytest.approx(2 * slow.cost * REST)


async def test_whoever_is_cancelled_while_it_waits_leaves_the_turn(
    slow: Worker, autojump_clock: Clock
) -> None:
    await slow.decode()
    with trio.move_on_after(slow.cost) as waiting:
        await slow.decode()
    assert waiting.cancelled_caught
    await slow.decode()
    assert len(slow.at) == 2
