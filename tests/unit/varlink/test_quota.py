"""Limits of each user, and the slots that are reserved."""

from contextlib import ExitStack

import pytest

from cucmd.varlink.quota import Limits, OverLimit, Quota

ROOT, OURS, ALICE, BOB = 0, 990, 1000, 1001


def quota(**limits: int) -> Quota:
    return Quota(Limits(**limits), frozenset({ROOT, OURS}))


def test_a_user_at_the_limit_does_not_limit_others() -> None:
    held = quota(requests=2)
    with held.hold(ALICE, "requests"), held.hold(ALICE, "requests"):
        with pytest.raises(OverLimit) as caught, held.hold(ALICE, "requests"):
            pass
        assert (caught.value.limit, caught.value.maximum) == ("requests", 2)
        with held.hold(BOB, "requests"), held.hold(ALICE, "streams"):
            pass
    with held.hold(ALICE, "requests"):
        pass


def test_connections_are_limited_for_each_user() -> None:
    held = quota(connections=1)
    with (
        held.connection(ALICE),
        held.connection(BOB),
        pytest.raises(OverLimit) as caught,
        held.connection(ALICE),
    ):
        pass
    assert (caught.value.limit, caught.value.maximum) == ("connections", 1)
    with held.connection(ALICE):
        pass


def test_the_last_connections_are_for_root_and_the_servers_own_user() -> None:
    held = quota(connections=2, total=4, reserved=2)
    with ExitStack() as stack:
        stack.enter_context(held.connection(ALICE))
        stack.enter_context(held.connection(BOB))
        with pytest.raises(OverLimit) as caught, held.connection(1002):
            pass
        assert (caught.value.limit, caught.value.maximum) == ("total", 2)
        stack.enter_context(held.connection(ROOT))
        stack.enter_context(held.connection(OURS))
        with pytest.raises(OverLimit) as caught, held.connection(ROOT):
            pass
        assert (caught.value.limit, caught.value.maximum) == ("total", 4)


def test_a_slot_is_free_again_after_a_failure() -> None:
    held = quota(connections=1, total=2, reserved=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), held.connection(ALICE):
            raise ZeroDivisionError
    with held.connection(ALICE):
        pass


def test_a_refused_connection_is_not_counted() -> None:
    held = quota(connections=1, total=3, reserved=1)
    with held.connection(ALICE):
        for _ in range(5):
            with pytest.raises(OverLimit), held.connection(ALICE):
                pass
        with held.connection(BOB):
            pass
