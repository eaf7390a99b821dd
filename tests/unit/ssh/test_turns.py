"""No peer is handled for longer than its share, however many bytes, packets or connections it has.

Time is made up: a connection says what its turn costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.ssh.turns import SLICE, TRANSFER, Group, Shares, Turns

MUCH = 2 * TRANSFER


class Loop:
    """An asyncio loop of one callback or timer at a time, and its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[Any] = []

    def clock(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> Any:
        self._due.append(handle := Handle(self.now + delay, call))
        return handle

    def call_soon(self, call: Callable[[], None]) -> Any:
        return self.call_later(0.0, call)

    def run(self, seconds: float) -> None:
        """Whoever is due, in order, until nobody is."""
        while due := [handle for handle in self._due if not handle.cancelled]:
            first = min(due, key=lambda handle: handle.when)
            if first.when > seconds:
                break
            self._due = [handle for handle in due if handle is not first]
            self.now = max(self.now, first.when)
            first.call()


class Handle:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Peer:
    """Has bytes for ever. A turn costs it `cost`, and moves bytes at `rate`."""

    def __init__(
        self,
        loop: Loop,
        source: str,
        group: Group = Group.EXPECTED,
        cost: float = SLICE,
        rate: float = 0.0,
        turns: int = 10**9,
    ) -> None:
        self.source, self.group, self._loop = source, group, loop
        self._cost, self._rate, self._left = cost, rate, turns
        self.used = 0.0
        self.waited = 0.0
        self._since = 0.0

    @property
    def has_more(self) -> bool:
        return self._left > 0

    def take_turn(self, until: float) -> int:
        self.waited = max(self.waited, self._loop.now - self._since)
        self._left -= 1
        self.used += self._cost
        self._loop.now += self._cost
        self._since = self._loop.now
        return int(self._cost * self._rate)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def turns(loop: Loop) -> Turns:
    return Turns(loop, loop.clock)  # type: ignore[arg-type]


def begin(loop: Loop, turns: Turns, *peers: Peer) -> None:
    for peer in peers:
        turns.wait(peer)
    loop.run(2.0)


def test_a_transfer_has_all_of_the_loop_while_nobody_else_wants_it(
    loop: Loop, turns: Turns
) -> None:
    alone = Peer(loop, "a", rate=MUCH)
    begin(loop, turns, alone)
    assert alone.used == pytest.approx(2.0, abs=0.01)


def test_two_addresses_have_equal_shares_however_many_connections_each_has(
    loop: Loop, turns: Turns
) -> None:
    one = Peer(loop, "a", rate=MUCH)
    many = [Peer(loop, "b", rate=MUCH) for _ in range(50)]
    begin(loop, turns, one, *many)
    assert one.used == pytest.approx(1.0, abs=0.01)
    assert max(peer.used for peer in many) <= min(peer.used for peer in many) + SLICE * 1.01


def test_packets_without_content_leave_half_of_the_processor(loop: Loop, turns: Turns) -> None:
    peers = [Peer(loop, "a") for _ in range(5)]
    begin(loop, turns, *peers)
    assert sum(peer.used for peer in peers) == pytest.approx(1.0, abs=0.01)


def test_a_transfer_beside_packets_without_content_has_its_half(loop: Loop, turns: Turns) -> None:
    good, hostile = Peer(loop, "a", rate=MUCH), Peer(loop, "b")
    begin(loop, turns, good, hostile)
    assert good.used >= 0.99
    assert good.waited <= 2 * SLICE


def test_key_exchanges_of_others_leave_four_fifths(loop: Loop, turns: Turns) -> None:
    good = Peer(loop, "a", rate=MUCH)
    others = [Peer(loop, str(number), Group.OTHERS, cost=10 * SLICE) for number in range(100)]
    begin(loop, turns, good, *others)
    assert good.used >= 2.0 * 0.78
    assert good.waited <= 10.01 * SLICE, "one of them cannot be interrupted"


def test_others_are_not_starved_by_a_hundred_transfers(loop: Loop, turns: Turns) -> None:
    other = Peer(loop, "s", Group.OTHERS)
    begin(loop, turns, other, *[Peer(loop, str(n), rate=MUCH) for n in range(100)])
    assert other.used >= 2.0 * 0.18


def test_who_comes_while_all_others_rest_does_not_wait(loop: Loop, turns: Turns) -> None:
    hostile, late = Peer(loop, "a", cost=0.5, turns=2), Peer(loop, "b", turns=1)
    turns.wait(hostile)
    loop.run(0.1)  # its first turn: it rests until 1.0
    turns.wait(late)
    loop.run(0.6)
    assert late.used == SLICE
    assert hostile.used == 0.5
    loop.run(2.0)
    assert hostile.used == 1.0


def test_a_defect_in_one_turn_does_not_stop_the_others(
    loop: Loop, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = Peer(loop, "a"), Peer(loop, "b", turns=3)

    def fail(until: float) -> int:
        raise RuntimeError

    monkeypatch.setattr(broken, "take_turn", fail)
    turns.wait(broken)
    turns.wait(good)
    with pytest.raises(RuntimeError):
        loop.run(1.0)
    loop.run(1.0)
    assert good.used == pytest.approx(3 * SLICE)


def test_what_was_not_used_is_not_saved_up(loop: Loop, turns: Turns) -> None:
    busy = Peer(loop, "a", rate=MUCH)
    begin(loop, turns, busy)
    late = Peer(loop, "b", rate=MUCH)
    turns.wait(late)
    loop.run(4.0)
    assert late.used == pytest.approx(1.0, abs=0.01)


def test_work_outside_of_a_turn_is_counted_too(loop: Loop, turns: Turns) -> None:
    good, charged = Peer(loop, "a", rate=MUCH), Peer(loop, "b", rate=MUCH)
    turns.charge(charged, 0.5)
    begin(loop, turns, good, charged)
    assert good.used == pytest.approx(charged.used + 0.5, abs=0.01)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_of_those_that_wait_the_one_with_least_is_next(steps: list[tuple[str, bool]]) -> None:
    shares: Shares[str] = Shares()
    waiting: Counter[str] = Counter()
    for key, comes in steps:
        if comes:
            shares.wait(key)
            waiting[key] = 1
        else:
            shares.leave(key)
            del waiting[key]
        chosen = shares.next(0.0)
        assert (chosen is None) == (not waiting)
        if chosen is not None:
            assert chosen in waiting
            shares.charge(chosen, 0.1, 0.0)


class Counted(int):
    """A key that counts how often any of its kind was looked up."""

    looked_up = 0

    def __hash__(self) -> int:
        Counted.looked_up += 1
        return int(self)


def looked_up_in_turns_of(many: int) -> int:
    """How often keys are looked up until each of so many has had one turn, and a rest."""
    shares: Shares[Counted] = Shares()
    before = Counted.looked_up
    for number in range(many):
        shares.wait(Counted(number))
    for turn in range(many):
        assert shares.ready_at(float(turn)) <= turn
        chosen = shares.next(float(turn))
        assert chosen is not None
        shares.charge(chosen, 1e-6, float(turn))
        shares.rest(chosen, turn + 0.5)
        shares.leave(chosen)
        shares.wait(chosen)
    return Counted.looked_up - before


def test_a_turn_does_not_look_through_all_that_wait() -> None:
    few, many = looked_up_in_turns_of(100), looked_up_in_turns_of(1600)
    assert many <= 16 * few * 1.5


def test_addresses_that_are_gone_are_forgotten() -> None:
    shares: Shares[int] = Shares()
    for number in range(10_000):
        shares.wait(number)
        assert shares.next(float(number)) == number
        shares.charge(number, 0.1, float(number))
        shares.rest(number, number + 0.5)
        shares.leave(number)
    assert len(shares._used) < 200
    assert len(shares._charged) < 200
    assert len(shares._rests) < 50


def test_where_nobody_waits_a_turn_is_given_at_once(loop: Loop, turns: Turns) -> None:
    peer = Peer(loop, "a", rate=MUCH, turns=3)
    assert turns.at_once(peer)
    assert peer.used == SLICE
    loop.run(1.0)
    assert peer.used == pytest.approx(3 * SLICE), "it waits for the rest"


def test_no_turn_is_given_at_once_while_another_waits(loop: Loop, turns: Turns) -> None:
    first, second = Peer(loop, "a", rate=MUCH, turns=2), Peer(loop, "b", rate=MUCH, turns=1)
    assert turns.at_once(first)
    assert not turns.at_once(second)
    assert second.used == 0.0


def test_no_turn_is_given_at_once_to_an_address_that_rests(loop: Loop, turns: Turns) -> None:
    empty = [Peer(loop, "a", turns=1) for _ in range(3)]
    assert [turns.at_once(peer) for peer in empty] == [True, False, False]
    assert turns.at_once(Peer(loop, "b", turns=1)), "of another address"
    loop.now += SLICE
    assert turns.at_once(empty[1])


def test_none_of_the_others_has_a_turn_at_once(loop: Loop, turns: Turns) -> None:
    assert not turns.at_once(Peer(loop, "a", Group.OTHERS, turns=1))


def test_addresses_that_had_turns_at_once_are_forgotten(loop: Loop, turns: Turns) -> None:
    for number in range(1000):
        loop.now = float(number)
        assert turns.at_once(Peer(loop, str(number), turns=1))
    sources = turns._lines[Group.EXPECTED].sources
    assert max(len(sources._used), len(sources._charged)) < 200
    assert len(sources._rests) < 5


def test_several_that_need_little_have_their_turns_in_one_of_the_loop(
    loop: Loop, turns: Turns
) -> None:
    peers = [Peer(loop, str(n), cost=SLICE / 100, rate=MUCH, turns=1) for n in range(100)]
    given = 0
    call_soon = loop.call_soon

    def counted(call: Callable[[], None]) -> Any:
        nonlocal given
        given += 1
        return call_soon(call)

    loop.call_soon = counted  # type: ignore[method-assign]
    begin(loop, turns, *peers)
    loop.run(1.0)
    assert all(peer.used for peer in peers)
    assert given < 5
