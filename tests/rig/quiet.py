"""The proof that nothing is left: descriptors of a daemon, compared with what it had."""

import time
from collections.abc import Callable

from rig.process import Child


def wait_until(holds: Callable[[], bool], within: float = 20.0) -> None:
    """For what another process does and nobody announces: looks until it is so."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


def assert_nothing_open(child: Child, before: dict[str, str]) -> None:
    """The process has no more descriptors than it had, once its last close is through."""

    def settled() -> bool:
        return len(child.descriptors()) <= len(before)

    try:
        wait_until(settled, within=5.0)
    except AssertionError:
        left = set(child.descriptors().items()) - set(before.items())
        raise AssertionError(f"left open: {sorted(left)}") from None
