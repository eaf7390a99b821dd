"""Measures the memory of all processes of a daemon: at rest, and for each node that pushes.

PUSHING nodes push at once and without end, each from its own address. Every daemon is alone then:
/proc counts a page that n processes share as an nth of each, and a second daemon's would take their
part of the libraries, the larger the fewer processes the first has.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from figures import Figure, Sample
from installed import Version
from receive import push, receiving
from receive import why_not as why_not  # noqa: PLC0414 - the same is needed
from served import Served, served

PUSHING = 4
SAMPLED = 3.0  # seconds, in which what waits for the disk has grown
ENDLESS = 1 << 40  # sparse: what the sender reads costs it nothing

_numbers = count()


@contextmanager
def opened(
    versions: Sequence[Version], _options: Namespace
) -> Iterator[list[Callable[[], Sample]]]:
    with tempfile.TemporaryDirectory(prefix="cucmd-bench-") as name:
        folder = Path(name)
        source = folder / "endless.log"
        with source.open("wb") as file:
            file.truncate(ENDLESS)
        yield [partial(_measure, version, folder, source) for version in versions]


def _measure(version: Version, folder: Path, source: Path) -> Sample:
    own = folder / str(next(_numbers))
    with served(version, own / "daemon") as daemon, ExitStack() as stack:
        daemon.settle()
        rest = daemon.memory()
        servers = [
            stack.enter_context(receiving(daemon, own / f"node{number}", number))[0]
            for number in range(PUSHING)
        ]
        pushing = [push(server, source)[0] for server in servers]
        most = _most(daemon)
        for process in pushing:
            assert process.poll() is None, "sftp ended"
            process.terminate()
            process.wait()
    return {
        Figure("memory at rest", "MB", aim="<= 90 MB"): rest,
        Figure(f"    for each of {PUSHING} nodes that push", "MB", aim="<= 10 MB"): (
            (most - rest) / PUSHING
        ),
    }


def _most(daemon: Served) -> int:
    most, ends = 0, time.monotonic() + SAMPLED
    while time.monotonic() < ends:
        most = max(most, daemon.memory())
        time.sleep(0.05)
    return most
