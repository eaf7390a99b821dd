"""PURE. Counts durations in buckets of fixed sizes, for monitoring.

The counts are plain integers, so that an observation costs less than a microsecond.
"""

from __future__ import annotations

from bisect import bisect_left

# Upper bounds of buckets in seconds: for what should take milliseconds, and for work on nodes.
SHORT = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
LONG = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class Histogram:
    """Counts durations.

    counts  how many durations were at most as long as each bound and longer than the bound before,
            and at the end how many were longer than the last bound
    total   the sum of all durations, in seconds
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds
