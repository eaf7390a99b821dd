"""The clock of the tests in this folder does not run ahead of a thread."""

import time

import trio
from trio.testing import MockClock


async def test_it_stands_while_a_thread_works_and_jumps_afterwards(
    autojump_clock: MockClock,
) -> None:
    with trio.move_on_after(10) as scope:
        await trio.to_thread.run_sync(time.sleep, 0.2, abandon_on_cancel=True)
    assert not scope.cancelled_caught
    with trio.move_on_after(10) as scope:
        await trio.sleep_forever()
    assert scope.cancelled_caught
