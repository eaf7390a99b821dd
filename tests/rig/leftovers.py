"""Checks that a test leaves nothing open: in its own process, in a daemon, or as temporary files.

The checks wait for up to PATIENCE seconds. The message names what is still open after that.
"""

import gc
import os
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from cucmctl import Client
from cucmctl.client.errors import Refused
from rig.quiet import to_come, wait_until

# Files that Python, pytest and its plugins open once and keep open.
_KEPT = re.compile(r"/dev/(null|urandom)|.*\.coverage.*|.*/\.hypothesis/.*")


# Seconds to wait until everything is closed.
PATIENCE = 10.0


class Held(NamedTuple):
    """Holds the open descriptors, by their targets without numbers, and the child processes."""

    descriptors: Counter[str]
    children: frozenset[str]

    @classmethod
    def by_us(cls) -> "Held":
        targets: Counter[str] = Counter()
        for entry in Path("/proc/self/fd").iterdir():
            try:
                target = os.readlink(entry)
            except FileNotFoundError:
                continue  # the descriptor of this listing
            if not _KEPT.fullmatch(target):
                targets[target.partition(":")[0]] += 1
        children: set[str] = set()
        for task in Path("/proc/self/task").iterdir():
            # A thread may end meanwhile: trio ends threads that were idle for 10 s.
            with suppress(FileNotFoundError, ProcessLookupError):
                children.update((task / "children").read_text().split())
        return cls(targets, frozenset(children))

    def beyond(self, before: "Held") -> list[str]:
        """Returns what is held now and was not held before."""
        opened = self.descriptors - before.descriptors
        return [*opened.elements(), *(f"process {pid}" for pid in self.children - before.children)]


@contextmanager
def nothing_left_here() -> Iterator[None]:
    """Asserts that no descriptor, child process or temporary file of ours outlives the body."""
    before, usual = Held.by_us(), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="cucmd-t-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # like /tmp, since some tests run programs as other users
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = usual
        _wait_for_nothing(lambda: [*Held.by_us().beyond(before), *sorted(os.listdir(folder))])


def _wait_for_nothing(left: Callable[[], list[str]]) -> None:
    def nothing() -> bool:
        if left():
            gc.collect()  # descriptors of unreachable objects do not count
        return not left()

    try:
        wait_until(nothing, within=PATIENCE)
    except AssertionError:
        raise AssertionError(f"left behind: {left()}") from None


class Daemon(Protocol):
    """Declares the part of `rig.daemon.Daemon` that is used here."""

    pid: int
    log: Path

    def client(self) -> Client: ...
    def descriptors(self) -> dict[str, str]: ...
    def signal(self, number: signal.Signals) -> None: ...


class Holdings(NamedTuple):
    """Holds what a daemon logs at SIGUSR1, and its descriptors if we may read them."""

    tasks: int
    jobs: int
    objects: int  # Python objects of any kind
    descriptors: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, daemon: Daemon) -> "Holdings":
        try:
            descriptors = frozenset(daemon.descriptors().items())
        except PermissionError:  # the daemon forbids it, and we are not root
            descriptors = frozenset()
        # Twice, because the tasks for a new process begin a little later than its descriptor.
        for _ in range(2):
            before = len(_logged_counts(daemon))
            daemon.signal(signal.SIGUSR1)
            wait_until(lambda: len(_logged_counts(daemon)) > before)  # noqa: B023  in this turn
        counts = map(int, _logged_counts(daemon)[-1])
        return cls(*counts, descriptors)


def _logged_counts(daemon: Daemon) -> list[tuple[str, str, str]]:
    log = daemon.log.read_text(errors="replace")
    return re.findall(r"holding (\d+) tasks, (\d+) jobs, (\d+) objects", log)


def assert_holds_no_more(daemon: Daemon, before: Holdings) -> None:
    """Asserts that the daemon holds no more tasks and descriptors than before.

    Does nothing while the daemon has an unfinished job.
    """
    if _has_unfinished_job(daemon):
        return
    now = before

    def holds_no_more() -> bool:
        nonlocal now
        now = Holdings.of(daemon)
        coming = to_come(target for _, target in before.descriptors)
        fewer = len(now.descriptors) <= len(before.descriptors) + coming
        return not now.jobs and now.tasks <= before.tasks and fewer

    try:
        wait_until(holds_no_more, within=PATIENCE)
    except AssertionError:
        opened = sorted(now.descriptors - before.descriptors)
        raise AssertionError(
            f"the daemon held {before.tasks} tasks and holds {now.tasks}, with {now.jobs} live "
            f"jobs; left open: {opened}"
        ) from None


def _has_unfinished_job(daemon: Daemon) -> bool:
    """Says whether a job has not ended, or the list of jobs cannot be read."""
    try:
        with daemon.client() as client:
            return any(job.status in ("queued", "running") for job in client.list(limit=1000))
    except Refused:
        return True
