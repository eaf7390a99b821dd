"""Waits for changes in other processes by polling, and checks that they are at rest."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from rig.process import Child


def wait_until(holds: Callable[[], bool], within: float = 20.0) -> None:
    """Polls until `holds()` is true. Use it only for changes that nobody announces."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.02)


def to_come(descriptors: Iterable[str]) -> int:
    """Returns how many further descriptors the daemon may open later and keep.

    It is 1 as long as the daemon has one worker process: the second is forked later.
    """
    processes = sum("pidfd" in target for target in descriptors)
    return 1 if processes == 1 else 0  # a descriptor of the fork server


def assert_nothing_open(child: Child, before: dict[str, str]) -> None:
    """Asserts that within 5 s the process has no more descriptors open than before."""

    def closed() -> bool:
        return len(child.descriptors()) <= len(before) + to_come(before.values())

    try:
        wait_until(closed, within=5.0)
    except AssertionError:
        left = set(child.descriptors().items()) - set(before.items())
        raise AssertionError(f"left open: {sorted(left)}") from None


def opened(child: Child) -> list[str]:
    """Lists the open files of the process and its descendants."""
    paths = []
    for pid in child.tree():
        with suppress(FileNotFoundError):  # the process has ended
            for one in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # the file was closed
                    paths.append(os.readlink(one))
    return paths


def assert_nothing_at_work(child: Child, job_id: str, *, just_ended: bool = False) -> None:
    """Asserts that after a second the processes are idle and have no file of the job open.

    just_ended: the job has just ended. Then the daemon may collect garbage in one of two seconds,
    and keeps transcripts open until it has left the nodes.
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
