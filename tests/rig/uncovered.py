"""Runs code without measuring its coverage.

Use it only for code that other tests cover: a flood of bytes takes ten times as long when each line
is counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import coverage


@contextmanager
def uncovered() -> Iterator[None]:
    """Stops the measurement of coverage while the body runs."""
    measuring = coverage.Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()
