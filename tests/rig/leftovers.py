"""Checks that a test leaves nothing open: in its own process, in a daemon, as temporary files.

It waits for what closes within `PATIENCE`. What is open after that is in the message.
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

# What Python, pytest and its plugins open once and keep.
_KEPT = re.compile(r"/dev/(null|urandom)|.*\.coverage.*|.*/\.hypothesis/.*")


# Seconds to wait for what closes a little later.
PATIENCE = 10.0


class Held(NamedTuple):
    """Descriptors by what they point to; a socket's or pipe's number does not matter."""

    descriptors: Counter[str]
    children: frozenset[str]

    @classmethod
    def by_us(cls) -> "Held":
        targets: Counter[str] = Counter()
        for entry in Path("/proc/self/fd").iterdir():
            try:
                target = os.readlink(entry)
            except FileNotFoundError:
                continue  # the descriptor of this listing itself
            if not _KEPT.fullmatch(target):
                targets[target.partition(":")[0]] += 1
        children: set[str] = set()
        for task in Path("/proc/self/task").iterdir():
            # A thread may end meanwhile: trio ends those that were idle for 10 s.
            with suppress(FileNotFoundError, ProcessLookupError):
                children.update((task / "children").read_text().split())
        return cls(targets, frozenset(children))

    def beyond(self, before: "Held") -> list[str]:
        """Returns what is open now and was not in `before`."""
        opened = self.descriptors - before.descriptors
        return [*opened.elements(), *(f"process {pid}" for pid in self.children - before.children)]


@contextmanager
def nothing_left_here() -> Iterator[None]:
    """Asserts that no descriptor, child process or temporary file of ours outlives the body."""
    before, usual = Held.by_us(), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="cucmd-t-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # as /tmp: some tests are other users
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = usual
        _wait_for_nothing(lambda: [*Held.by_us().beyond(before), *sorted(os.listdir(folder))])


def _wait_for_nothing(left: Callable[[], list[str]]) -> None:
    def nothing() -> bool:
        if left():
            gc.collect()  # descriptors of garbage do not count
        return not left()

    try:
        wait_until(nothing, within=PATIENCE)
    except AssertionError:
        raise AssertionError(f"left behind: {left()}") from None


class Daemon(Protocol):
    """Has what `rig.daemon` has."""

    pid: int
    log: Path

    def client(self) -> Client: ...
    def descriptors(self) -> dict[str, str]: ...
    def signal(self, number: signal.Signals) -> None: ...


class Holdings(NamedTuple):
    """What a daemon logs that it holds, and its descriptors if we may read them."""

    tasks: int
    jobs: int
    objects: int  # of Python, of any kind
    descriptors: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, daemon: Daemon) -> "Holdings":
        try:
            descriptors = frozenset(daemon.descriptors().items())
        except PermissionError:  # it cannot be dumped, and we are not root
            descriptors = frozenset()
        # Twice: the tasks for a process that has just been forked begin some turns after its pidfd.
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
    """Asserts that a daemon without an unfinished job holds no more tasks and descriptors.

    A daemon that has an unfinished job is checked only by how it ends.
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
    """Says whether a job has not ended. True also if that cannot be read."""
    try:
        with daemon.client() as client:
            return any(job.status in ("queued", "running") for job in client.list(limit=1000))
    except Refused:
        return True
