"""Turns: one frame of a user at a time, and a rest after it."""

import pytest
import trio
import trio.testing

from cucmd.varlink.turns import CREDIT, MOST_OWED, REST, Turns

Clock = trio.testing.MockClock
ROOT, ALICE, BOB = 0, 1000, 1001


class Worker:
    """Frames of `cost` seconds, of which `at` has the times when they were decoded."""

    def __init__(self, cost: float) -> None:
        self.turns = Turns(frozenset({ROOT}), clock=lambda: self.spent)
        self.spent = 0.0
        self.cost = cost
        self.at: list[float] = []

    async def decode(self, uid: int = ALICE) -> None:
        await self.turns.wait(uid)
        with self.turns.charged(uid):
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
        with slow.turns.charged(ALICE):
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


# Steps of a connection


class Steps:
    """Work of which each step between two waits costs a second of processor time."""

    def __init__(self, worker: Worker, count: int) -> None:
        self.worker = worker
        self.count = count
        self.ended_by: BaseException | None = None

    async def run(self) -> str:
        try:
            for _ in range(self.count):
                self.worker.spent += 1
                await trio.sleep(1000)  # what a wait takes is not charged
        except BaseException as error:
            self.ended_by = error
            raise
        return "done"


def owed(turns: Turns, uid: int) -> float:
    return turns._turn_of(uid).owed


async def test_each_step_is_charged_and_no_wait(slow: Worker, autojump_clock: Clock) -> None:
    assert await slow.turns.metered(ALICE, Steps(slow, 3).run()) == "done"
    assert slow.spent == 3
    assert owed(slow.turns, ALICE) <= 0  # 1,000 s have passed since the last step

    async def run_one_more() -> None:
        await slow.turns.metered(ALICE, Steps(slow, 1).run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_one_more)
        await trio.testing.wait_all_tasks_blocked()
        assert slow.turns.refuses(ALICE)
        assert not slow.turns.refuses(BOB)


async def test_a_flood_is_forgotten_soon(slow: Worker, autojump_clock: Clock) -> None:
    slow.cost = 600.0
    for _ in range(3):
        with slow.turns.charged(ALICE):
            slow.spent += slow.cost
    assert slow.turns.refuses(ALICE)
    await trio.sleep(5)
    assert not slow.turns.refuses(ALICE)


async def test_what_is_charged_to_a_user_delays_its_frames(
    slow: Worker, autojump_clock: Clock
) -> None:
    with slow.turns.charged(ALICE):
        slow.spent += 0.1
    begun = trio.current_time()
    await slow.decode(BOB)
    assert trio.current_time() == begun
    await slow.decode(ALICE)
    assert trio.current_time() - begun == pytest.approx(0.1 * REST)


async def test_of_root_only_decoding_is_charged(slow: Worker, autojump_clock: Clock) -> None:
    with slow.turns.charged(ROOT):
        slow.spent += 10
    await slow.turns.metered(ROOT, Steps(slow, 1).run())
    assert owed(slow.turns, ROOT) <= 0
    with slow.turns.decoding(ROOT):
        slow.spent += 2 * MOST_OWED
    assert owed(slow.turns, ROOT) > MOST_OWED
    assert not slow.turns.refuses(ROOT)


async def test_decoding_is_not_charged_twice(slow: Worker, autojump_clock: Clock) -> None:
    async def decode() -> None:
        with slow.turns.decoding(ALICE):
            slow.spent += 0.1

    await slow.turns.metered(ALICE, decode())
    assert owed(slow.turns, ALICE) == pytest.approx(0.1 * REST)


async def test_steps_that_are_free_are_not_charged(slow: Worker, autojump_clock: Clock) -> None:
    steps = Steps(slow, 1)
    await slow.turns.metered(ALICE, steps.run(), lambda: True)
    assert owed(slow.turns, ALICE) <= 0


async def test_metered_work_can_be_cancelled(slow: Worker, autojump_clock: Clock) -> None:
    steps = Steps(slow, 1)
    with trio.move_on_after(1) as scope:
        await slow.turns.metered(ALICE, steps.run())
    assert scope.cancelled_caught
    assert isinstance(steps.ended_by, trio.Cancelled)


async def test_an_error_of_metered_work_is_passed_on(slow: Worker, autojump_clock: Clock) -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await slow.turns.metered(ALICE, fail())
