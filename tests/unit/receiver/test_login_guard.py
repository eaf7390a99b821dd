"""An address pays for its own wrong logins; what is remembered is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.login_guard import LoginGuard, rate_limit_key


@pytest.fixture
def guard() -> LoginGuard:
    return LoginGuard(
        ReceiverLimits(
            unauthenticated=3, unauthenticated_per_address=2, wrong_logins=4, wrong_login_memory=60
        )
    )


def test_each_wrong_login_waits_twice_as_long_up_to_a_cap(guard: LoginGuard) -> None:
    assert [guard.wrong("a", 0.0) for _ in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]


def test_an_address_is_cut_off_after_its_wrong_logins_and_nobody_else(guard: LoginGuard) -> None:
    for _ in range(4):
        assert guard.refusal("a", 0.0) is None
        guard.wrong("a", 0.0)
    assert guard.refusal("a", 59.0) == "too many wrong logins"
    assert guard.refusal("b", 59.0) is None


def test_wrong_logins_are_forgotten_after_a_while(guard: LoginGuard) -> None:
    for _ in range(4):
        guard.wrong("a", 0.0)
    assert guard.refusal("a", 61.0) is None
    assert guard.wrong("a", 61.0) == 0.5


def test_connections_without_a_login_are_limited_for_an_address_and_in_all(
    guard: LoginGuard,
) -> None:
    guard.enter("a")
    guard.enter("a")
    assert guard.refusal("a", 0.0) == ("too many connections without a login from that address")
    guard.enter("b")
    assert guard.refusal("c", 0.0) == "too many connections without a login"
    guard.leave("a")
    assert guard.refusal("a", 0.0) is None


def test_what_is_remembered_of_a_flood_is_bounded() -> None:
    guard = LoginGuard(ReceiverLimits())
    for number in range(10_000):
        guard.wrong(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(guard._wrong) <= 4096


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=50))
def test_who_has_left_is_not_counted(steps: list[tuple[bool, str]]) -> None:
    guard = LoginGuard(ReceiverLimits())
    inside: list[str] = []
    for enters, address in steps:
        if enters:
            guard.enter(address)
            inside.append(address)
        elif address in inside:
            guard.leave(address)
            inside.remove(address)
    for address in inside:
        guard.leave(address)
    assert (guard._total, dict(guard._waiting)) == (0, {})


@pytest.mark.parametrize(
    ("peer", "who"),
    [
        ("192.0.2.5", "192.0.2.5"),
        ("::ffff:192.0.2.5", "192.0.2.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_one_link_of_ipv6_pays_as_one(peer: str, who: str) -> None:
    assert rate_limit_key(peer) == who
