"""Limits how many descriptors this process can open."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Lets this process open `count` more descriptors while the body runs."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    full = max(map(int, os.listdir("/proc/self/fd"))) + 1
    filled = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (full, limit[1]))
    try:
        with suppress(OSError):
            while True:
                filled.append(os.open(os.devnull, os.O_RDONLY))
        while room:
            os.close(room.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        for one in (*filled, *room):
            os.close(one)
