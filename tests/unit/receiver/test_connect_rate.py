"""An address may connect so often without a login, and as often as it likes with one."""

import pickle

from cucmd.receiver.connect_rate import ConnectRate


def test_an_address_that_never_logs_in_is_slowed_down_and_no_other() -> None:
    rate = ConnectRate(burst=3, rate=2.0)
    assert [rate.take("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert rate.take("b", 0.0)
    assert [rate.take("a", 1.0) for _ in range(3)] == [True, True, False]


def test_a_connection_that_logs_in_costs_nothing() -> None:
    rate = ConnectRate(burst=1, rate=0.001)
    for _ in range(1000):
        assert rate.take("a", 0.0)
        rate.give_back("a", 0.0)
    assert rate.take("a", 0.0)
    assert not rate.take("a", 0.0)


def test_the_allowance_never_grows_beyond_the_burst() -> None:
    rate = ConnectRate(burst=2, rate=1.0)
    rate.take("a", 0.0)
    for _ in range(5):
        rate.give_back("a", 100.0)
    assert [rate.take("a", 100.0) for _ in range(3)] == [True, True, False]


def test_addresses_that_have_come_once_are_forgotten() -> None:
    rate = ConnectRate(burst=1, rate=1.0)
    for number in range(50_000):
        rate.take(f"address {number}", float(number))
    assert len(pickle.dumps(rate)) < 100_000
