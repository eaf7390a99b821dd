"""A histogram counts each duration in the bucket of its bounds."""

import pytest

from cucmd.histogram import Histogram


@pytest.mark.parametrize(
    ("seconds", "counts"),
    [(0.0, [1, 0, 0]), (1.0, [1, 0, 0]), (1.5, [0, 1, 0]), (2.0, [0, 1, 0]), (2.1, [0, 0, 1])],
)
def test_bounds_belong_to_their_bucket(seconds: float, counts: list[int]) -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(seconds)
    assert (histogram.counts, histogram.total) == (counts, seconds)
