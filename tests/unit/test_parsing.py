"""Answers are read beside the event loop where they are long, one at a time."""

import threading
from collections.abc import Iterable

import pytest
import trio
import trio.testing

from cucmd.parsing import AT_ONCE, parse

LONG = ["x" * 99] * (AT_ONCE // 100 + 1)
PATIENCE = 30


def thread_of(lines: Iterable[str]) -> tuple[threading.Thread, int]:
    return threading.current_thread(), sum(1 for _ in lines)


async def test_what_is_short_is_read_at_once_and_what_is_long_in_a_thread() -> None:
    here = threading.current_thread()
    assert await parse(thread_of, LONG[:-1]) == (here, len(LONG) - 1)
    thread, lines = await parse(thread_of, LONG)
    assert thread is not here
    assert lines == len(LONG)


async def test_many_empty_lines_are_long_too() -> None:
    thread, _ = await parse(thread_of, [""] * (AT_ONCE + 1))
    assert thread is not threading.current_thread()


@pytest.mark.parametrize("lines", [LONG[:1], LONG])
async def test_what_a_parser_raises_comes_through(lines: list[str]) -> None:
    def fail(lines: Iterable[str]) -> None:
        raise ValueError(next(iter(lines)))

    with pytest.raises(ValueError, match="xxx"):
        await parse(fail, lines)


class Gated:
    """A parser that waits in its thread until the test lets it go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.began = trio.Event()
        self.taken = 0

    def __call__(self, lines: Iterable[str]) -> int:
        trio.from_thread.run_sync(self.began.set)
        assert self.go_on.wait(PATIENCE)
        for _ in lines:
            self.taken += 1
        return self.taken


async def test_others_go_on_meanwhile_and_the_next_answer_waits() -> None:
    first, second = Gated(), Gated()
    second.go_on.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parse, first, LONG)
        await first.began.wait()  # and this task goes on
        nursery.start_soon(parse, second, LONG)
        await trio.testing.wait_all_tasks_blocked()
        assert not second.began.is_set()
        first.go_on.set()
        await second.began.wait()
        assert first.taken == len(LONG)


async def test_a_cancel_does_not_wait_and_what_was_cancelled_ends_at_its_next_line() -> None:
    gated = Gated()
    lines = ["x"] * 1_000_000
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(parse, gated, lines)
            await gated.began.wait()
            nursery.cancel_scope.cancel()
        assert gated.taken == 0  # its thread still waits
        gated.go_on.set()
        assert (await parse(thread_of, LONG))[1] == len(LONG)  # there is room again
    assert gated.taken < len(lines)
