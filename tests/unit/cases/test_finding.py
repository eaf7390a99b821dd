"""How what several processes find is merged."""

from collections.abc import Sequence

import pytest
import trio

from cucmd.cases import finder
from cucmd.cases.finder import Found, SearchRefused
from cucmd.job.node import Node
from cucmd.worker.frames import NO_TIME, FoundLine, LinesFound, UnsearchedFile
from cucmd.worker.process import Cause, WorkerEnded


class Process:
    """Stands in for a process that sends one frame each time it is read."""

    def __init__(self, *sent: LinesFound) -> None:
        self.left = list(sent)

    async def wait_readable(self) -> None:
        await trio.lowlevel.checkpoint()
        if not self.left:
            raise WorkerEnded(Cause.LOST, "its process was killed")

    def receive_arrived(self, _decoder: object) -> list[LinesFound]:
        return [self.left.pop(0)]


def frame(mark: int, *times: int, size: int = 10, ended: bool = False) -> LinesFound:
    lines = tuple(FoundLine(time, 0, b"a/files/x", 1, b"x" * size) for time in times)
    return LinesFound(mark, 1, 100, lines, ended=ended)


def end(*times: int) -> LinesFound:
    return frame(NO_TIME, *times, ended=True)


async def all_of(*processes: Process) -> list[Found]:
    return [found async for found in finder.merged(processes, [Node("a"), Node("b")])]


def times(all_found: Sequence[Found]) -> list[int]:
    return [line.time for found in all_found for line in found.lines]


async def test_lines_come_in_order_of_time() -> None:
    first = Process(frame(5, 1, 4), frame(20, 6, 19), end(NO_TIME))
    second = Process(frame(3, 2), frame(9, 3, 8), end(9, 25))
    found = await all_of(first, second)
    assert times(found) == [1, 2, 3, 4, 6, 8, 9, 19, 25, NO_TIME]
    assert not any(each.unordered for each in found)
    assert (found[-1].files, found[-1].size) == (2, 200)


@pytest.mark.parametrize("time", [7, NO_TIME])
async def test_lines_of_same_time_have_order(time: int) -> None:
    """Their order does not depend on which process is quicker."""
    expected = [
        FoundLine(time, node, path, number, b"", member)
        for node in (0, 1)
        for path in (b"a/x", b"a/y")
        for member in ("", "one")
        for number in (9, 10)
    ]
    first = Process(*(LinesFound(time, 1, 9, (line,)) for line in expected[1::2]), end())
    second = Process(LinesFound(time, 1, 9, tuple(expected[::2])), end())
    found = await all_of(first, second)
    assert [line for each in found for line in each.lines] == expected


async def test_line_waits_for_other_process() -> None:
    first = Process(frame(50, 10), end())
    second = Process(frame(5), frame(8), end(9))
    assert times(await all_of(first, second)) == [9, 10]


async def test_process_that_is_ahead_waits() -> None:
    """While many lines wait, only the process that is behind is read."""
    many = [frame(100 + n, 100 + n, size=1_000_000) for n in range(12)]
    ahead = Process(*many, end())
    unread = []

    class Behind(Process):
        def receive_arrived(self, decoder: object) -> list[LinesFound]:
            unread.append(len(ahead.left))
            return super().receive_arrived(decoder)

    found = await all_of(ahead, Behind(*(frame(n) for n in range(20)), end()))
    assert min(unread) > 5
    assert times(found) == list(range(100, 112))


async def test_context_counts_as_waiting() -> None:
    around = (b"x" * 4096,) * 20
    line = FoundLine(500, 0, b"a/files/x", 1, b"x", "", around, around)
    many = [LinesFound(1, 1, 9, (line,) * 4) for _ in range(100)]
    found = await all_of(Process(*many, end(2)))
    assert any(each.unordered for each in found)


async def test_too_many_early_lines_are_given_out() -> None:
    """One process finds late lines without end while it may still find early ones."""
    late = [frame(1, 500 - n, size=1_000_000) for n in range(40)]
    found = await all_of(Process(*late, end(2)))
    assert sorted(times(found)) == [2, *range(461, 501)]
    assert any(each.unordered for each in found)


async def test_large_lines_are_given_in_parts() -> None:
    """A client takes no reply of more than 64 MiB, and a byte can need six in a reply."""
    around = (b"x" * 4096,) * 20
    line = FoundLine(1, 0, b"a/files/x", 1, b"x" * 32 * 1024, "", around, around)
    found = await all_of(*(Process(LinesFound(1, 1, 9, (line,) * 10), end()) for _ in range(4)))
    assert sum(len(each.lines) for each in found) == 40
    assert max(len(each.lines) for each in found) < 10


async def test_stopped_pattern_is_named() -> None:
    stopped = UnsearchedFile(0, b"a/files/192.0.2.9/sdl/x.gz", "it needs more than 2 s")
    last = LinesFound(NO_TIME, 0, 0, unread=(stopped,), too_long=True, ended=True)
    with pytest.raises(SearchRefused, match=r"it needs more than 2 s of 192.0.2.9/sdl/x.gz"):
        await all_of(Process(last))


async def test_lost_process_is_an_error() -> None:
    with pytest.raises(WorkerEnded):
        await all_of(Process(frame(1, 0)), Process(end()))


@pytest.mark.parametrize(
    "line", [FoundLine(1, 1, b"x", 1, b"x"), FoundLine(2**61, 0, b"x", 1, b"x")]
)
async def test_impossible_line_is_an_error(line: FoundLine) -> None:
    with pytest.raises(WorkerEnded):
        await all_of(Process(LinesFound(0, 1, 100, (line,))))
