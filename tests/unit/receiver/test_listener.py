"""Accepted connections are made one at a time, those of expected addresses first."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trio

from cucmd.receiver import listener
from cucmd.receiver.listener import Accepted


class Admission:
    """Expects nodes whose address begins with `node`."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def may_connect(self, source: str) -> bool:
        return True

    def expects(self, source: str) -> bool:
        return source.startswith("node")

    def refused(self, source: str, reason: str) -> None:
        self.dropped.append(source)


Add = Callable[[str], socket.socket]


@pytest.fixture
def admission() -> Admission:
    return Admission()


@pytest.fixture
def accepted(admission: Admission) -> Accepted:
    return Accepted(admission)


@pytest.fixture
def add(accepted: Accepted) -> Iterator[Add]:
    """`add("node1")`: a connection of that address was accepted."""
    with ExitStack() as stack:

        def one(source: str) -> socket.socket:
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            accepted.add(source, ours)
            return ours

        yield one


async def test_those_of_expected_addresses_are_first(accepted: Accepted, add: Add) -> None:
    first, second, node = add("x"), add("y"), add("node1")
    assert [await accepted.next() for _ in range(3)] == [node, first, second]


async def test_one_that_comes_is_waited_for(
    accepted: Accepted, add: Add, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:

        async def come_later() -> None:
            await trio.sleep(1)
            add("x")

        nursery.start_soon(come_later)
        await accepted.next()
        assert trio.current_time() >= 1


async def test_of_too_many_the_oldest_goes_and_no_expected_one(
    accepted: Accepted, add: Add, admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_MOST_WAITING", 3)
    node = add("node1")
    others = [add(str(number)) for number in range(5)]
    assert admission.dropped == ["0", "1"]
    assert [one.fileno() >= 0 for one in (node, *others)] == [True, False, False, True, True, True]
    assert [await accepted.next() for _ in range(4)] == [node, *others[2:]]


def test_what_is_left_at_the_end_is_closed(accepted: Accepted, add: Add) -> None:
    left = add("node1"), add("x")
    accepted.close()
    assert [one.fileno() for one in left] == [-1, -1]


async def test_connections_are_made_one_at_a_time(
    accepted: Accepted, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a millisecond of the loop: a hundred in one turn would hold up everybody."""
    now = most = 0
    made: list[socket.socket] = []

    async def make(_: Callable[..., Awaitable[None]], one: socket.socket, options: Any) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await trio.lowlevel.checkpoint()
        made.append(one)
        now -= 1
        if len(made) % 2:
            raise OSError  # it has gone already

    monkeypatch.setattr(listener, "on_asyncio", make)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener._make_connections, accepted, None)
        came = [add(str(number)) for number in range(100)]
        with trio.fail_after(10):
            while len(made) < len(came):
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert made == came
    assert most == 1
