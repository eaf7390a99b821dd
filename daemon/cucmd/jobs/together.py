"""Lets nodes work together: they begin at the same moment, and one call ends all. What need not
begin at the same moment does not call `begin`.

Nobody waits for a node that cannot come any more. A node leaves when its work ends, however that
ends; one that was cancelled before it began leaves too.

How they begin
--------------
    expected    the nodes that have not left, and have not begun
    ready       those of them that wait in `begin`
The nodes begin when all that are expected are ready, and `READY_WITHIN` seconds after the first of
them was ready at the latest. Whoever comes after that is late, and is told so.

One node under two names works once: both would write files of one name, and what they see would
count twice. The name that comes second is refused, whatever becomes of the first.

Everything here happens in the trio thread, and nothing waits but `begin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import trio
from msgspec.structs import replace

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.job.job import Job
from cucmd.jobs.services import Address
from cucmd.node.ports import READY_WITHIN, NodeTask


class Together:
    """Lets the nodes of one run of one job begin together. `nodes`: those that are expected."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self._expected = set(nodes)
        self._ready: set[str] = set()
        self._deadline = trio.current_time() + READY_WITHIN  # meaningful while somebody is ready
        self._go = trio.Event()
        self._coming: dict[str, trio.CancelScope] = {}
        self._running: set[trio.CancelScope] = set()
        self._at_it: set[str] = set()
        self._begun = False
        self._names: dict[Address, str] = {}
        self.stopped = False

    def twice(self, node: str, address: Address) -> Failure | None:
        """Says why the node at `address` may not work under that name; None: it may."""
        first = self._names.setdefault(address, node)
        if first == node:
            return None
        host, port = address
        message = f"it is the same node as {first}: both names mean {host}, port {port}"
        hint = "a node works once in such a job; name it once"
        return replace(failure(Code.COMMAND_REFUSED, message, hint=hint), retryable=False)

    async def begin(self, node: str) -> bool:
        """Returns when the nodes begin. False: they have begun before; the node is late."""
        if self._go.is_set():
            return False
        if not self._ready:
            self._deadline = trio.current_time() + READY_WITHIN
        self._ready.add(node)
        self._look()
        try:
            with trio.move_on_at(self._deadline):
                await self._go.wait()
        except trio.Cancelled:
            self.leave(node)
            raise
        self._go.set()
        return True

    def leave(self, node: str) -> None:
        """The node does not begin any more, or has ended."""
        self._expected.discard(node)
        self._ready.discard(node)
        self._look()

    def _look(self) -> None:
        if self._ready and self._ready >= self._expected:
            self._go.set()

    @property
    def begun(self) -> bool:
        """Says whether it has begun on a node at least, which may have ended."""
        return self._go.is_set() or self._begun

    @contextmanager
    def until_begun(self, node: str) -> Iterator[None]:
        """Wraps what is done before `at_it`: `stop` cancels it, also one that came before."""
        with trio.CancelScope() as scope:
            if self.stopped:
                scope.cancel()
            self._coming[node] = scope
            try:
                yield
            finally:
                self._coming.pop(node, None)

    @contextmanager
    def at_it(self, node: str) -> Iterator[None]:
        """While the work is begun on the node, runs or is ended: `stop` counts it."""
        self._coming.pop(node, None)
        self._begun = True
        self._at_it.add(node)
        try:
            yield
        finally:
            self._at_it.discard(node)

    @contextmanager
    def until_stopped(self) -> Iterator[trio.CancelScope]:
        """Yields a scope that is cancelled by `stop`, also by one that came before."""
        with trio.CancelScope() as scope:
            if self.stopped:
                scope.cancel()
            self._running.add(scope)
            try:
                yield scope
            finally:
                self._running.discard(scope)

    def stop(self) -> int:
        """Ends it. Returns on how many nodes it runs, or is ended already."""
        self.stopped = True
        for scope in (*self._coming.values(), *self._running):
            scope.cancel()
        return len(self._at_it)


def together_of(
    job: Job, tasks: Sequence[NodeTask | None]
) -> tuple[Together | None, Sequence[NodeTask | None]]:
    """Makes for one run of a job what its nodes share, and the tasks with it. None: they share
    nothing.

    A node without a task has ended before.
    """
    if not job.work.together:
        return None, tasks
    together = Together(task.node for task in tasks if task is not None)
    return together, [task and replace(task, together=together) for task in tasks]
