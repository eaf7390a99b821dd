"""Reads what a node has printed, without holding up the others.

An ordinary answer is read at once; more than that is read in a thread, one answer at a time, so
that neither a node nor a user has more of the processor than that, and a cancel does not wait for
it.

One at a time, since threads of Python do not run side by side: each more would only keep the event
loop waiting for longer. Nobody waits for long: parsers are linear, and what is read is limited
(`work/session.py`, `api/case_methods.py`), so that all of it takes some tenths of a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import trio

T = TypeVar("T")

# Characters, with one for each line. The answers that are parsed have a few thousand, and to read
# so much takes a few milliseconds whatever it is.
AT_ONCE = 4096
# Seconds that the thread works, and leaves to the others after that. By itself Python lets another
# thread run only after 5 ms, and the loop asks for its turn several times in each call.
_STINT, _REST = 0.001, 0.001

_room: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("room for answers")


async def parse(parser: Callable[[Iterable[str]], T], lines: Sequence[str]) -> T:
    """What `parser` reads in the lines, which it goes through once. Raises what it raises.

    A checkpoint only where the lines are many. Cancelled, the thread ends at the next line.
    """
    if sum(map(len, lines)) + len(lines) <= AT_ONCE:
        return parser(lines)
    return await trio.to_thread.run_sync(
        parser, _in_stints(lines), abandon_on_cancel=True, limiter=_limiter()
    )


def _in_stints(lines: Iterable[str]) -> Iterator[str]:
    """In the thread. Raises `trio.Cancelled` once nobody waits for the result."""
    ends = time.monotonic() + _STINT
    for line in lines:
        if time.monotonic() > ends:
            trio.from_thread.check_cancelled()
            time.sleep(_REST)
            ends = time.monotonic() + _STINT
        yield line


def _limiter() -> trio.CapacityLimiter:
    try:
        return _room.get()
    except LookupError:
        limiter = trio.CapacityLimiter(1)
        _room.set(limiter)
        return limiter
