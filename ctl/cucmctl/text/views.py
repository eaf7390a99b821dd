"""Declares the views of a job that is followed, except the live view.

A view is a context manager. It receives every change in `show`, and the job's end in `conclude`. A
view never calls the daemon, except `run.Outputs` and `discover.FoundNodes`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TextIO

from cucmctl.cli import printer
from cucmctl.client.reconnect import ReconnectListener
from cucmctl.text import render
from cucmctl.text.kind_text import text_of
from cucmctl.text.pace import NODE_ENDED
from cucmctl.text.remarks import remarks, waiting_lines, without_node_name
from cucmd.protocol.jobs import Job, JobSummary, Node, WatchReply

# Seconds between two lines about a node if only its number of bytes changes.
BYTES_EVERY = 10.0
# How many ended jobs are remembered: many more than can end while one job closes its connections.
REMEMBERED = 1000


class EndedJobs:
    """Remembers the jobs that ended last, because changes after the end of a job are not shown.

    Such changes bring the final figures of the job, or are job lists that contain the job. A job
    that is retried is forgotten.
    """

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}  # ordered by their end

    def has(self, job: Job | JobSummary) -> bool:
        """Returns whether `add` was called for the job. A job that has not ended, because it was
        retried, is forgotten first.
        """
        if job.status not in render.JOB_ENDED:
            self._ids.pop(job.job_id, None)
        return job.job_id in self._ids

    def add(self, job_id: str) -> None:
        self._ids[job_id] = None
        if len(self._ids) > REMEMBERED:
            del self._ids[next(iter(self._ids))]


class View(ReconnectListener):
    """The base of all views. It shows nothing.

    may_operate  whether to offer to retry and export the job; set before the view is shown
    """

    may_operate = True

    def __enter__(self) -> View:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def pass_over(self, job: Job) -> None:
        """Takes nodes that have ended already, before a retry of others, as shown."""

    def show(self, change: WatchReply) -> None:
        """Shows the first state, or a change."""

    def went_away(self, why: str, seconds: float) -> None:
        """Prints that the daemon is away, and for how long the client waits for it."""
        printer.note(f"{why}; waiting {seconds:g} s for it to come back")

    def came_back(self) -> None:
        """Prints that the daemon is back. The state follows."""
        printer.note("the daemon is back")

    def conclude(self, job: Job) -> None:
        """Shows how the job has ended. Called after `__exit__`."""


class EndingOnly(View):
    """Shows only the end of a job, and where its files are.

    `wait` prints this on standard output, and `start --wait` on standard error.
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._json = as_json
        self._unsaved: str | None = None

    def show(self, change: WatchReply) -> None:
        """Prints why the job's state cannot be stored, because this delays its end."""
        if change.job is not None and change.job.unsaved != self._unsaved:
            self._unsaved = change.job.unsaved
            for text in render.unsaved(change.job):
                printer.note(text)

    def conclude(self, job: Job) -> None:
        if self._json:
            printer.json_line(job)
            return
        stream = self._stream
        columns = printer.columns(stream) or (80 if printer.on_terminal(stream) else None)
        ascii_only = printer.ascii_only(stream)
        may = self.may_operate
        ending = render.ending(job, columns=columns, ascii_only=ascii_only, may_operate=may)
        for text in (*ending, *render.where_files_are(job, may_operate=may)):
            printer.line(text, self._stream)


class AfterOutputs(EndingOnly):
    """Prints the end of the job on standard error, as standard output has the output of nodes.

    With JSON, both are on standard output, and their keys tell them apart.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__(sys.stderr, as_json=as_json)

    def conclude(self, job: Job) -> None:
        if self._json:
            printer.json_line({"job": job})
        for text in render.ending(job):
            printer.line(text, self._stream)


class TableAtTheEnd(EndingOnly):
    """Prints at the end what the job found on its nodes, and the remarks below it.

    found  makes the lines, as `check_text.table` does
    """

    def __init__(self, found: Callable[..., Iterable[str]], *, as_json: bool) -> None:
        super().__init__(sys.stdout, as_json=as_json)
        self._found = found

    def conclude(self, job: Job) -> None:
        if self._json:
            for text in remarks(job):
                printer.note(text)
        printer.show(job, self._lines(job), as_json=self._json)

    def _lines(self, job: Job) -> Iterator[str]:
        layout = printer.layout(sys.stdout)
        columns, ascii_only = layout["columns"], layout["ascii_only"]
        below = remarks(job, columns=columns, ascii_only=ascii_only)
        return render.paragraphs(self._found(job, **layout), below)


class AtTheEnd(EndingOnly):
    """Prints at the end what the job found, and the remarks on standard error."""

    def __init__(self, lines: Callable[[Job], Iterable[str]], *, as_json: bool) -> None:
        super().__init__(sys.stdout, as_json=as_json)
        self._lines = lines

    def conclude(self, job: Job) -> None:
        for text in remarks(job):
            printer.note(text)
        printer.show(job, self._lines(job), as_json=self._json)


class JsonLines(View):
    """Prints every reply of the daemon as a line of JSON, and the job if it changes at its end."""

    def __init__(self) -> None:
        self._revision: int | None = None

    def show(self, change: WatchReply) -> None:
        self._revision = None if change.job is None else change.job.revision
        printer.json_line(change)

    def conclude(self, job: Job) -> None:
        """Prints the job with what its files cover, which is known after the last reply."""
        if job.revision != self._revision:
            printer.json_line({"job": job})


class Lines(View):
    """Prints a line for each change of a node or a job, with the local time.

    If a node or job has ended, the time is that of its end, since an old failure must not look new.
    If all jobs are watched (then the first reply is a list), each line has the job's id. Such a
    watch may run for months, so only the ids of the last ended jobs are kept.
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
        # Job -> node -> what was shown. The key "" is for the job itself, " " for waiting nodes.
        self._shown: dict[str, dict[str, tuple[object, int, float]]] = {}
        self._unsaved: dict[str, str] = {}  # job -> why its state cannot be stored
        self._ended = EndedJobs()

    def show(self, change: WatchReply) -> None:
        if change.missed:
            self._print(f"missed {change.missed} changes; the state as it is now:")
        if change.jobs is not None:
            self._of_all_jobs = True
            # Jobs that are not listed are forgotten: perhaps their end was missed.
            listed = {job.job_id for job in change.jobs}
            self._shown = {job: nodes for job, nodes in self._shown.items() if job in listed}
        for summary in change.jobs or ():
            self._show_job(summary)
        if change.job is not None and change.job.deleted:
            self._print(f"job {change.job.job_id}: deleted")
        elif change.job is not None and self._is_news(change.job):
            job = change.job
            for node in job.nodes:
                self._show_node(job, node)
            lines = tuple(waiting_lines(job.nodes))
            if self._has_changed(job.job_id, " ", lines, 0):
                for text in lines:
                    self._print(f"{job.job_id} {text}" if self._of_all_jobs else text)
            self._show_job(render.summary(job))
            before = self._unsaved.pop(job.job_id, None)
            if job.unsaved is not None and job.status not in render.JOB_ENDED:
                self._unsaved[job.job_id] = job.unsaved
                for text in render.unsaved(job) if job.unsaved != before else ():
                    self._print(f"job {job.job_id}: {text}")

    def pass_over(self, job: Job) -> None:
        for node in job.nodes:
            if node.status in NODE_ENDED:
                state = self._state(job, node)
                self._has_changed(job.job_id, node.node, state, node.bytes_received)

    def _is_news(self, job: Job) -> bool:
        """Returns whether to show a job. Changes after its end, such as labels, are not shown."""
        if job.closed and job.job_id not in self._shown and self._of_all_jobs:
            return False
        return not self._ended.has(job)

    def conclude(self, job: Job) -> None:
        for text in (
            *render.ending(job, may_operate=self.may_operate),
            *render.where_files_are(job, may_operate=self.may_operate),
        ):
            printer.line(text, self._stream)

    def _show_job(self, job: JobSummary) -> None:
        if self._ended.has(job):
            return
        state = (job.status, job.nodes_done, job.nodes_failed)
        if self._has_changed(job.job_id, "", state, 0):
            failed = f", {job.nodes_failed} failed" if job.nodes_failed else ""
            done = f"{job.nodes_done}/{job.nodes_total} nodes done{failed}"
            ended = job.completed_at if job.status in render.JOB_ENDED else None
            self._print(f"job {job.job_id}: {job.status}, {done}", ended)
        if job.status in render.JOB_ENDED:
            del self._shown[job.job_id]
            self._ended.add(job.job_id)

    def _show_node(self, job: Job, node: Node) -> None:
        doing, state = text_of(job).phase(node), self._state(job, node)
        if node.status == "pending" or not self._has_changed(
            job.job_id, node.node, state, node.bytes_received
        ):
            return
        of_job = f"{job.job_id} " if self._of_all_jobs else ""
        parts = [f"{of_job}{node.full_name}: {node.status}"]
        if doing:
            parts.append(doing)
        if node.attempt > 1:
            parts.append(f"attempt {node.attempt}")
        if node.files_announced is not None or node.files_received or node.bytes_received:
            files, received = render.figures(node, job.collection)
            parts += [render.files_of(files, node.bytes_received), received]
        if node.error:
            parts.append(without_node_name(node, node.error))
        self._print(", ".join(parts), node.completed_at if node.status in NODE_ENDED else None)

    def _state(self, job: Job, node: Node) -> object:
        doing = text_of(job).phase(node)
        return node.status, doing, node.attempt, node.files_received, node.error

    def _has_changed(self, job_id: str, node: str, state: object, received: int) -> bool:
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
