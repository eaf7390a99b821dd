"""Code that runs without being measured, where that would only take minutes.

Only for what other tests cover; a flood of bytes takes ten times as long when each line is counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import coverage


@contextmanager
def uncovered() -> Iterator[None]:
    """Keeps the body out of the branch coverage of `.ci/run`. Without coverage nothing changes."""
    measuring = coverage.Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()
