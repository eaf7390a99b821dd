"""Which connections are cut while many have not logged in."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.unauthenticated import Unauthenticated


def waiting_for(limit: int, chance: float = 1.0) -> Unauthenticated[int]:
    """`chance`: 1.0 is never below any probability, 0.0 always."""
    return Unauthenticated(limit, lambda: chance)


def test_the_oldest_of_the_address_that_has_most_gives_way() -> None:
    waiting = waiting_for(6)
    for number, source in enumerate("aabaaa"):
        assert waiting.enter(source, number) is None
    assert waiting.enter("c", 6) == 0
    assert waiting.enter("a", 7) == 1, "and of its own address too"
    assert waiting.total == 6


def test_near_the_limit_one_gives_way_early_with_a_growing_chance() -> None:
    displaced = []
    for chance in (0.0, 0.4, 1.0):
        waiting = waiting_for(80, chance)
        gone = [waiting.enter("a", number) for number in range(60)]
        displaced.append(sum(one is not None for one in gone))
    none_below, some, never = displaced
    assert none_below == 19, "from the second above half of the places on"
    assert some == 3
    assert never == 0


def test_a_place_is_free_again_after_a_connection_has_closed() -> None:
    waiting = waiting_for(4)
    waiting.enter("a", 0)
    waiting.leave("a", 0)
    waiting.leave("a", 0)
    assert waiting.total == 0


@given(
    st.integers(4, 12),
    st.lists(st.tuples(st.booleans(), st.sampled_from("abcde"))),
    st.floats(0, 1),
)
def test_what_is_cut_is_of_the_address_that_has_most(
    limit: int, steps: list[tuple[bool, str]], chance: float
) -> None:
    waiting = waiting_for(limit, chance)
    here: dict[int, str] = {}
    for number, (comes, source) in enumerate(steps):
        if not comes:
            leaving = next((one for one, where in here.items() if where == source), None)
            if leaving is not None:
                waiting.leave(source, leaving)
                del here[leaving]
            continue
        displaced = waiting.enter(source, number)
        if displaced is not None:
            held = Counter(here.values())
            assert held[here.pop(displaced)] == max(held.values())
        here[number] = source
    assert waiting.total == len(here) <= limit
