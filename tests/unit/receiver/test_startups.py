"""Which connections may log in while many others wait."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.startups import Startups

SECONDS = 3.0


def startups(limit: int = 4, per_source: int = 3, max_waiting: int = 100) -> Startups[int]:
    return Startups(limit, per_source, max_waiting, SECONDS)


def begun(startups: Startups[int], now: float = 0.0) -> list[int]:
    found = []
    while (one := startups.next(now)) is not None:
        found.append(one)
    return found


def enter(startups: Startups[int], sources: str) -> None:
    for number, source in enumerate(sources):
        assert startups.enter(source, number) is None


def test_address_with_fewest_is_next() -> None:
    waiting = startups(limit=3)
    enter(waiting, "aabac")
    assert begun(waiting) == [0, 2, 4]


def test_login_frees_its_place() -> None:
    waiting = startups(limit=1)
    enter(waiting, "ab")
    assert begun(waiting) == [0]
    for _ in range(2):
        waiting.leave(0)
    assert begun(waiting) == [1]
    assert not waiting


def test_crowd_leaves_room_to_wait() -> None:
    waiting = startups(per_source=1, max_waiting=3)
    enter(waiting, "aaa")
    assert waiting.enter("b", 3) == 2
    assert waiting.enter("a", 4) == 4
    assert begun(waiting) == [0, 3]


def test_silent_connection_is_cut() -> None:
    waiting = startups()
    enter(waiting, "baaa")
    begun(waiting, now=0.0)
    assert waiting.overdue(60.0) is None, "nobody waits"
    waiting.enter("c", 4)
    assert waiting.overdue(SECONDS - 0.1) is None
    assert waiting.overdue(SECONDS) == 1, "the oldest of the address that has most"


def test_same_address_is_not_cut() -> None:
    waiting = startups()
    enter(waiting, "aaaaaaaa")
    begun(waiting, now=0.0)
    assert waiting.overdue(60.0) is None


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from("abcde"))),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_limits_always_hold(steps: list[tuple[bool, str]], limit: int, per_source: int) -> None:
    waiting, here = startups(limit, per_source), dict[int, str]()
    sources: dict[int, str] = {}
    for number, (comes, source) in enumerate(steps):
        sources[number] = source
        if comes:
            assert waiting.enter(source, number) is None
        elif (leaving := next(iter(here), None)) is not None:
            waiting.leave(leaving)
            del here[leaving]
        here |= {one: sources[one] for one in begun(waiting)}
        assert len(here) <= limit
        assert max(Counter(here.values()).values(), default=0) <= per_source
        assert not waiting or here, "nobody waits for a place that is free"
