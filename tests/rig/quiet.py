"""Waits for changes in other processes, by polling, and looks whether they are at rest."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from rig.process import Child


def wait_until(holds: Callable[[], bool], within: float = 20.0) -> None:
    """Polls until `holds()` is true. Only for what another process does not announce."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.02)


def to_come(descriptors: Iterable[str]) -> int:
    """Counts those that a daemon opens later and keeps: of its process for addresses that nobody
    expects, which is forked when the first of these comes.
    """
    processes = sum("pidfd" in target for target in descriptors)
    return 1 if processes == 1 else 0  # that is the first process


def assert_nothing_open(child: Child, before: dict[str, str]) -> None:
    """Asserts that the process has no more descriptors than `before`, after at most 5 s."""

    def closed() -> bool:
        return len(child.descriptors()) <= len(before) + to_come(before.values())

    try:
        wait_until(closed, within=5.0)
    except AssertionError:
        left = set(child.descriptors().items()) - set(before.items())
        raise AssertionError(f"left open: {sorted(left)}") from None


def opened(child: Child) -> list[str]:
    """Lists what the process and all that descend from it have open."""
    paths = []
    for pid in child.tree():
        with suppress(FileNotFoundError):  # it has ended
            for one in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # it was closed
                    paths.append(os.readlink(one))
    return paths


def assert_nothing_at_work(child: Child, job_id: str, *, just_ended: bool = False) -> None:
    """Asserts it from a second on, of the process and all that descend from it.

    just_ended: the daemon collects the job's garbage in one of two seconds, and its nodes are left
    in order, until when their transcripts are open.
    """
    time.sleep(1)
    worked = _worked_in_a_second(child)
    left = [path for path in opened(child) if job_id in path]
    if just_ended:
        worked = min(worked, _worked_in_a_second(child))
        left = [path for path in left if not path.endswith("/transcript.log")]
    assert worked < 0.1
    assert left == []


def _worked_in_a_second(child: Child) -> float:
    before = child.cpu()
    time.sleep(1)
    return child.cpu() - before
