"""Lets the nodes of one run of a job begin at the same moment, and lets one call end all of them.

Captures begin at the same moment. Nodes whose files are followed need not, so they never call
`wait_for_start`.

How nodes begin
---------------
    expected    the nodes that have not left; this matters only until the nodes begin
    ready       those of them that wait in `wait_for_start`
The nodes begin when all expected nodes are ready, or `READY_WITHIN` seconds after the first node
was ready, whichever comes first. A node that becomes ready after that is too late, and is told so.

No node waits for a node that cannot come any more: a node leaves when its work ends, or when it is
cancelled before it began.

Everything here happens in the trio thread, and only `wait_for_start` waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import trio
from msgspec.structs import replace

from cucmd.job.job import Job
from cucmd.node.ports import READY_WITHIN, NodeTask


class JointRun:
    """Holds what the nodes of one run of one job share. `nodes` are the nodes that are expected.

    stopped: `stop` was called.
    """

    def __init__(self, nodes: Iterable[str]) -> None:
        self._expected = set(nodes)
        self._ready: set[str] = set()
        self._deadline = trio.current_time() + READY_WITHIN  # meaningful while a node is ready
        self._start = trio.Event()
        self._preparing: dict[str, trio.CancelScope] = {}
        self._until_stopped: set[trio.CancelScope] = set()
        self._working: set[str] = set()
        self._has_worked = False
        self.stopped = False

    async def wait_for_start(self, node: str) -> bool:
        """Returns True when the nodes begin. Returns False if they have begun before."""
        if self._start.is_set():
            return False
        if not self._ready:
            self._deadline = trio.current_time() + READY_WITHIN
        self._ready.add(node)
        self._start_if_ready()
        try:
            with trio.move_on_at(self._deadline):
                await self._start.wait()
        except trio.Cancelled:
            self.leave(node)
            raise
        # If the deadline has passed, the first node that goes on makes all later nodes too late.
        # They could not begin at the same moment any more.
        self._start.set()
        return True

    def leave(self, node: str) -> None:
        """Notes that the node will not begin any more, or has ended."""
        self._expected.discard(node)
        self._ready.discard(node)
        self._start_if_ready()

    def _start_if_ready(self) -> None:
        if self._ready and self._ready >= self._expected:
            self._start.set()

    @property
    def has_begun(self) -> bool:
        """Says whether the work has begun on at least one node. The node may have ended since."""
        return self._start.is_set() or self._has_worked

    @contextmanager
    def preparing(self, node: str) -> Iterator[None]:
        """Covers the work before `working`. `stop` cancels the body, also if `stop` was called
        before.
        """
        with self.until_stopped() as scope:
            self._preparing[node] = scope
            try:
                yield
            finally:
                self._preparing.pop(node, None)

    @contextmanager
    def working(self, node: str) -> Iterator[None]:
        """Covers the time in which the work is begun, runs and is ended on the node. `stop` counts
        such nodes, and does not cancel the body.
        """
        if (preparing := self._preparing.pop(node, None)) is not None:
            self._until_stopped.discard(preparing)
        self._has_worked = True
        self._working.add(node)
        try:
            yield
        finally:
            self._working.discard(node)

    @contextmanager
    def until_stopped(self) -> Iterator[trio.CancelScope]:
        """Yields a scope that `stop` cancels, also if `stop` was called before."""
        with trio.CancelScope() as scope:
            if self.stopped:
                scope.cancel()
            self._until_stopped.add(scope)
            try:
                yield scope
            finally:
                self._until_stopped.discard(scope)

    def stop(self) -> int:
        """Ends the work on all nodes. Returns on how many nodes it runs or is being ended."""
        self.stopped = True
        for scope in self._until_stopped:
            scope.cancel()
        return len(self._working)


def join_tasks(
    job: Job, tasks: Sequence[NodeTask | None]
) -> tuple[JointRun | None, Sequence[NodeTask | None]]:
    """Returns the `JointRun` of one run of a job, and the tasks with this `JointRun` in them.

    Returns None and the same tasks if nodes of this kind of job work independently.
    """
    if not job.work.simultaneous:
        return None, tasks
    joint_run = JointRun(task.node for task in tasks if task is not None)
    return joint_run, [task and replace(task, joint_run=joint_run) for task in tasks]
