"""Which connections are cut while many have not logged in: never the nodes that are expected."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.unauthenticated import AllTaken, Unauthenticated


def waiting_for(limit: int, chance: float = 1.0) -> Unauthenticated[int]:
    """`chance`: 1.0 is never below any probability, 0.0 always."""
    return Unauthenticated(limit, lambda: chance)


def test_the_oldest_of_the_address_that_has_most_gives_way() -> None:
    waiting = waiting_for(8)
    for number, source in enumerate("aabaaa"):
        assert waiting.enter(source, number, expected=False) is None
    assert waiting.enter("c", 6, expected=False) == 0
    assert waiting.enter("a", 7, expected=False) == 1, "and of its own address too"
    assert waiting.total == 6


def test_a_quarter_of_the_places_is_kept_for_nodes_that_are_expected() -> None:
    waiting = waiting_for(8)
    for number in range(100):
        waiting.enter("stranger", number, expected=False)
    assert waiting.total == 6
    for number in range(100, 102):
        assert waiting.enter("node", number, expected=True) is None
    for number in range(102, 108):
        displaced = waiting.enter("node", number, expected=True)
        assert displaced is not None
        assert displaced < 100, "a stranger"
    assert waiting.enter("node", 108, expected=True) == 100, "only nodes are left"
    with pytest.raises(AllTaken):
        waiting.enter("stranger", 109, expected=False)
    assert waiting.total == 8


def test_near_the_limit_one_gives_way_early_with_a_growing_chance() -> None:
    displaced = []
    for chance in (0.0, 0.4, 1.0):
        waiting = waiting_for(80, chance)
        gone = [waiting.enter("a", number, expected=False) for number in range(60)]
        displaced.append(sum(one is not None for one in gone))
    none_below, some, never = displaced
    assert none_below == 19, "from the second above half of the places on"
    assert some == 11
    assert never == 0


def test_a_place_is_free_again_after_a_connection_has_closed() -> None:
    waiting = waiting_for(4)
    waiting.enter("a", 0, expected=True)
    waiting.leave("a", 0)
    waiting.leave("a", 0)
    assert waiting.total == 0


@given(
    st.integers(4, 12),
    st.lists(st.tuples(st.booleans(), st.sampled_from("abcde"), st.booleans())),
    st.floats(0, 1),
)
def test_an_expected_node_is_never_cut_for_a_stranger(
    limit: int, steps: list[tuple[bool, str, bool]], chance: float
) -> None:
    waiting = waiting_for(limit, chance)
    here: dict[int, tuple[str, bool]] = {}
    for number, (comes, source, expected) in enumerate(steps):
        if not comes:
            leaving = next((one for one, (where, _) in here.items() if where == source), None)
            if leaving is not None:
                waiting.leave(source, leaving)
                del here[leaving]
            continue
        try:
            displaced = waiting.enter(source, number, expected=expected)
        except AllTaken:
            assert not expected
            assert all(is_expected for _, is_expected in here.values())
            assert len(here) == limit
            continue
        if displaced is not None:
            of_stranger = not here[displaced][1]
            assert of_stranger or (expected and len(here) == limit)
            held = Counter(one for one, is_exp in here.values() if is_exp != of_stranger)
            assert held[here.pop(displaced)[0]] == max(held.values())
        here[number] = source, expected
    assert waiting.total == len(here) <= limit
