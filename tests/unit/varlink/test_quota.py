"""How much one user may hold, and what is left for the others."""

from contextlib import ExitStack

import pytest

from cucmd.varlink.quota import Limits, OverLimit, Quota

ROOT, OURS, ALICE, BOB = 0, 990, 1000, 1001


def quota(**limits: int) -> Quota:
    return Quota(Limits(**limits), frozenset({ROOT, OURS}))


def test_one_user_at_the_limit_leaves_the_others_theirs() -> None:
    house = quota(requests=2)
    with house.hold(ALICE, "requests"), house.hold(ALICE, "requests"):
        with pytest.raises(OverLimit) as caught, house.hold(ALICE, "requests"):
            pass
        assert (caught.value.limit, caught.value.maximum) == ("requests", 2)
        with house.hold(BOB, "requests"), house.hold(ALICE, "streams"):
            pass
    with house.hold(ALICE, "requests"):
        pass


def test_connections_are_limited_for_each_user() -> None:
    house = quota(connections=1)
    with (
        house.connection(ALICE),
        house.connection(BOB),
        pytest.raises(OverLimit, match="connections: at most 1"),
        house.connection(ALICE),
    ):
        pass
    with house.connection(ALICE):
        pass


def test_the_last_connections_are_for_root_and_the_servers_own_user() -> None:
    house = quota(connections=2, total=4, reserved=2)
    with ExitStack() as stack:
        stack.enter_context(house.connection(ALICE))
        stack.enter_context(house.connection(BOB))
        with pytest.raises(OverLimit, match="total: at most 2"), house.connection(1002):
            pass
        stack.enter_context(house.connection(ROOT))
        stack.enter_context(house.connection(OURS))
        with pytest.raises(OverLimit, match="total: at most 4"), house.connection(ROOT):
            pass


def test_what_is_given_back_after_a_failure_counts_again() -> None:
    house = quota(connections=1, total=2, reserved=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), house.connection(ALICE):
            raise ZeroDivisionError
    with house.connection(ALICE):
        pass


def test_a_refused_connection_is_not_counted() -> None:
    house = quota(connections=1, total=3, reserved=1)
    with house.connection(ALICE):
        for _ in range(5):
            with pytest.raises(OverLimit), house.connection(ALICE):
                pass
        with house.connection(BOB):
            pass
