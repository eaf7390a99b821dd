"""Connections without a login: limited in number, and one address cannot block another."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.unauthenticated import AllTaken, Unauthenticated, source_of


def test_one_address_may_have_all_slots_while_no_other_connects() -> None:
    waiting: Unauthenticated[int] = Unauthenticated(3)
    assert [waiting.enter("a", number) for number in range(3)] == [None] * 3
    with pytest.raises(AllTaken):
        waiting.enter("a", 3)
    assert waiting.total == 3


def test_the_address_that_has_most_gives_up_its_oldest_for_another_address() -> None:
    waiting: Unauthenticated[int] = Unauthenticated(4)
    for number in range(4):
        waiting.enter("a", number)
    assert waiting.enter("b", 4) == 0
    assert waiting.enter("b", 5) == 1
    with pytest.raises(AllTaken):  # b has half of them
        waiting.enter("b", 6)
    assert waiting.total == 4


def test_a_slot_is_free_again_after_a_connection_has_closed() -> None:
    waiting: Unauthenticated[int] = Unauthenticated(1)
    waiting.enter("a", 0)
    waiting.leave("a", 0)
    waiting.leave("a", 0)
    assert waiting.enter("b", 1) is None
    assert waiting.total == 1


SOURCES = "abcde"


@given(st.integers(1, 12), st.lists(st.tuples(st.booleans(), st.sampled_from(SOURCES))))
def test_an_address_below_its_share_is_never_refused(
    limit: int, steps: list[tuple[bool, str]]
) -> None:
    waiting: Unauthenticated[int] = Unauthenticated(limit)
    here: dict[int, str] = {}
    for number, (comes, source) in enumerate(steps):
        held = Counter(here.values())
        if not comes:
            leaving = next((one for one, where in here.items() if where == source), None)
            if leaving is not None:
                waiting.leave(source, leaving)
                del here[leaving]
            continue
        try:
            displaced = waiting.enter(source, number)
        except AllTaken:
            assert held[source] >= limit // len({*held, source})
            continue
        here[number] = source
        if displaced is not None:
            assert held[here.pop(displaced)] == max(held.values())
    assert waiting.total == len(here) <= limit


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("192.0.2.5", "192.0.2.5"),
        ("::ffff:192.0.2.5", "192.0.2.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_one_link_of_ipv6_counts_as_one_address(peer: str, source: str) -> None:
    assert source_of(peer) == source
