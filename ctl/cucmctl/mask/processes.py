"""Works on several tasks at once, in processes: one process of Python uses only one core."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from cucmd.worker.parent_end import end_with_parent

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerDied(Exception):
    """A process ended without a result. The kernel may have killed it for its memory."""


def results(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    processes: int | None = None,
    *,
    cost: Callable[[Task], int] = lambda task: 0,
) -> Iterator[tuple[Task, Result]]:
    """Yields each task with its result, in the order in which they end.

    processes  how many processes there are; by default one for each core that this one may use
    cost       tells which tasks take long, and so begin first

    Neighbours in `tasks` go to the same process, because files of the same node have words in
    common, which a process remembers. A process that has none left helps the others.

    Raises `WorkerDied`, and what `work` raises. The processes are forked, so `work` may use all
    objects of this process. The processes end with the iteration.
    """
    count = min(processes or len(os.sched_getaffinity(0)), len(tasks))
    if count < 2:
        yield from ((task, work(task)) for task in tasks)
        return
    context = multiprocessing.get_context("fork")
    parts: list[deque[int]] = []
    for number in range(count):
        near = range(len(tasks) * number // count, len(tasks) * (number + 1) // count)
        parts.append(deque(sorted(near, key=lambda at: cost(tasks[at]), reverse=True)))
    own: dict[Connection, deque[int]] = {}
    idle: dict[Connection, int] = {}
    workers = []
    try:
        for part in parts:
            ours, theirs = context.Pipe()
            arguments = os.getpid(), work, tasks, theirs
            worker = context.Process(target=_serve, args=arguments, daemon=True)
            worker.start()
            theirs.close()
            workers.append(worker)
            own[ours] = part
            idle[ours] = part.popleft()
            ours.send(idle[ours])
        while idle:
            for ready in wait(list(idle)):
                assert isinstance(ready, Connection)
                at = idle.pop(ready)
                try:
                    result = ready.recv()
                except EOFError:
                    raise WorkerDied(f"a process that masked {tasks[at]} has died") from None
                if isinstance(result, BaseException):
                    raise result
                if part := own[ready] or max(parts, key=len):
                    idle[ready] = part.popleft() if part is own[ready] else part.pop()
                    ready.send(idle[ready])
                yield tasks[at], result
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()


def _serve(
    parent: int,
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    connection: Connection,
) -> None:
    # Each worker has inherited the pipes of the others, so it sees no end of its own pipe.
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        task = tasks[connection.recv()]
        try:
            result: Result | Exception = work(task)
        except Exception as error:
            result = error
        connection.send(result)
