"""How a followed job is shown where there is no live terminal: not at all, as JSON, as lines.

The one rule: a view is a context manager that gets every change, and `conclude` once the job has
ended; it never asks the daemon anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from cucmctl import printer, render
from cucmd.api.structs import Job, JobSummary, Node, WatchReply

# A node whose byte count alone moves gets a line this often: a sign of life, not a flood.
BYTES_EVERY = 10.0
# Jobs that have ended and are still known: far more than end while one closes its connections.
REMEMBERED = 1000


class Ended:
    """The jobs that ended last. What comes of one after its end is no news: the figures of the
    moment at which its connections closed, or a list that has it.
    """

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}  # in the order in which they ended

    def has(self, job: Job | JobSummary) -> bool:
        return job.status in render.ENDED and job.job_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, job_id: str) -> None:
        self._ids[job_id] = None
        if len(self._ids) > REMEMBERED:
            del self._ids[next(iter(self._ids))]


class View:
    """Shows nothing; what all views share."""

    def __enter__(self) -> View:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def show(self, change: WatchReply) -> None:
        """The first state, or a change."""

    def conclude(self, job: Job) -> None:
        """The job has ended; called after `__exit__`."""


class Silent(View):
    """Shows only the end: of `wait` on standard output, of `start --wait` beside it."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._json = as_json
        self._unsaved: str | None = None

    def show(self, change: WatchReply) -> None:
        """Nothing, but why the end may be long in coming."""
        if change.job is not None and change.job.unsaved != self._unsaved:
            self._unsaved = change.job.unsaved
            for text in render.unsaved(change.job):
                printer.note(text)

    def conclude(self, job: Job) -> None:
        if self._json:
            printer.json_line(job)
            return
        for text in render.ending(job):
            printer.line(text, self._stream)


class JsonLines(View):
    """Every reply of the daemon, one a line."""

    def show(self, change: WatchReply) -> None:
        printer.json_line(change)


class Lines(View):
    """A line for each change of a node or a job, with the local time at which it came, or at which
    the node or job ended: whoever begins to watch later must not take an old failure for a new one.

    Where all jobs are watched, which shows in the list that comes first, every line has its job.
    Such a watch may run for months: of a job that has ended nothing is kept but, for a while, its
    id.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._now = now
        self._of_all_jobs = False
        # By job and node; "" is the job itself.
        self._shown: dict[str, dict[str, tuple[object, int, float]]] = {}
        self._unsaved: dict[str, str] = {}  # by job: what keeps its state from being stored
        self._ended = Ended()

    def show(self, change: WatchReply) -> None:
        if change.missed:
            self._print(f"missed {change.missed} changes; the state as it is now:")
        if change.jobs is not None:
            self._of_all_jobs = True
            # Others are older, and the end of one may be among what was missed.
            listed = {job.job_id for job in change.jobs}
            self._shown = {job: nodes for job, nodes in self._shown.items() if job in listed}
        for summary in change.jobs or ():
            self._show_job(summary)
        if change.job is not None and not self._ended.has(change.job):
            for node in change.job.nodes:
                self._show_node(change.job, node)
            self._show_job(render.summary(change.job))
            self._show_unsaved(change.job)

    def conclude(self, job: Job) -> None:
        for text in render.ending(job):
            printer.line(text, self._stream)

    def _show_job(self, job: JobSummary) -> None:
        if self._ended.has(job):
            return
        state = (job.status, job.nodes_done, job.nodes_failed)
        if self._is_news(job.job_id, "", state, 0):
            failed = f", {job.nodes_failed} failed" if job.nodes_failed else ""
            done = f"{job.nodes_done}/{job.nodes_total} nodes done{failed}"
            ended = job.completed_at if job.status in render.ENDED else None
            self._print(f"job {job.job_id}: {job.status}, {done}", ended)
        if job.status in render.ENDED:
            del self._shown[job.job_id]
            self._ended.add(job.job_id)

    def _show_unsaved(self, job: Job) -> None:
        before = self._unsaved.pop(job.job_id, None)
        if job.unsaved is not None and job.status not in render.ENDED:
            self._unsaved[job.job_id] = job.unsaved
            if job.unsaved != before:
                for text in render.unsaved(job):
                    self._print(f"job {job.job_id}: {text}")

    def _show_node(self, job: Job, node: Node) -> None:
        state = (node.status, node.phase, node.attempt, node.files_received, node.error)
        if node.status == "pending" or not self._is_news(
            job.job_id, node.node, state, node.bytes_received
        ):
            return
        of_job = f"{job.job_id} " if self._of_all_jobs else ""
        parts = [f"{of_job}{node.node}: {node.status}"]
        if node.status == "running" and node.phase:
            parts.append(node.phase)
        if node.attempt > 1:
            parts.append(f"attempt {node.attempt}")
        if node.files_announced is not None or node.files_received:
            files, received = render.figures(node, job.collection)
            parts += ["1 file" if files == "1" else f"{files} files", received]
        if node.error:
            parts.append(render.without_name(node, node.error))
        self._print(", ".join(parts), node.completed_at if node.status in render.SETTLED else None)

    def _is_news(self, job_id: str, node: str, state: object, received: int) -> bool:
        now = self._clock()
        shown_of_job = self._shown.setdefault(job_id, {})
        shown = shown_of_job.get(node)
        if shown is not None and shown[0] == state:
            _, bytes_then, then = shown
            if received == bytes_then or now - then < BYTES_EVERY:
                return False
        shown_of_job[node] = (state, received, now)
        return True

    def _print(self, text: str, at: datetime | None = None) -> None:
        now = self._now().astimezone()
        then = now if at is None else at.astimezone()
        stamp = then.strftime("%H:%M:%S") if then.date() == now.date() else render.local(then)
        printer.line(f"{stamp} {printer.visible(text)}", self._stream)
