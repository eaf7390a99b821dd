"""Bytes per second are counted over the last few seconds."""

import pytest

from cucmctl.text.pace import WINDOW, Rates


@pytest.fixture
def rates(job, node):
    """Makes `Rates` from samples of (time, bytes): `rates((0, 0), (1, 500))`."""

    def _rates(*seen):
        rates = Rates()
        for now, received in seen:
            rates.observe(job(node("a", bytes_received=received)), now)
        return rates

    return _rates


def test_steady_flow(rates):
    flow = rates(*((second, second * 1000) for second in range(20)))
    assert flow.rate_of("a", 19) == pytest.approx(1000)


def test_rate_ends_after_the_window(rates):
    stopped = rates((0, 0), (1, 1000))
    assert stopped.rate_of("a", 1) == 1000
    assert 0 < stopped.rate_of("a", 3) < 1000
    assert stopped.rate_of("a", 1 + WINDOW + 0.1) == 0


def test_new_attempt_counts_from_zero(rates):
    assert rates((0, 5000), (1, 0)).rate_of("a", 1) == 0
    assert rates((0, 5000), (1, 0), (2, 300)).rate_of("a", 2) == 300
