"""Measures how long the calls of another client take while a test does something."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cucmctl import Client
from rig.daemon import Daemon


@contextmanager
def another_client(
    daemon: Daemon, call: Callable[[Client], object], worst: float
) -> Iterator[None]:
    """Calls again and again while the body runs; asserts that each call takes less than `worst` s.

    `worst` has to be generous, since tests share their machine. `pytest -rP` shows the time of the
    slowest call.
    """
    over = threading.Event()
    took = [0.0]

    def calls() -> None:
        with daemon.client() as client:
            while not over.wait(0.01):
                began = time.monotonic()
                call(client)
                took.append(time.monotonic() - began)

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    print(f"the worst of {len(took) - 1} calls took {max(took) * 1000:.0f} ms")
    assert max(took) < worst
