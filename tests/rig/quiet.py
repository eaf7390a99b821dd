"""Waits for changes in other processes, by polling."""

import time
from collections.abc import Callable

from rig.process import Child


def wait_until(holds: Callable[[], bool], within: float = 20.0) -> None:
    """Polls until `holds()` is true. Only for what another process does not announce."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.02)


def assert_nothing_open(child: Child, before: dict[str, str]) -> None:
    """Asserts that the process has no more descriptors than `before`, after at most 5 s."""

    def closed() -> bool:
        return len(child.descriptors()) <= len(before)

    try:
        wait_until(closed, within=5.0)
    except AssertionError:
        left = set(child.descriptors().items()) - set(before.items())
        raise AssertionError(f"left open: {sorted(left)}") from None
