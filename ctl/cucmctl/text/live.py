"""Draws a job on a terminal, one line for each node, and redraws it as changes come.

Only this file and `frame.py` load rich. The view uses the alternate screen, so a resize leaves no
broken lines, and however the view ends, the terminal looks as before. When the view ends, the last
state is printed on the normal screen.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from types import FrameType
from typing import Any, TextIO

import rich.live
from rich.console import Console, Group, RenderableType
from rich.text import Text

from cucmctl.cli import printer, terminal
from cucmctl.text import job_list, render
from cucmctl.text.frame import Frame
from cucmctl.text.pace import Rates
from cucmctl.text.remarks import remarks
from cucmctl.text.table import wrapped
from cucmctl.text.views import EndedJobs, View
from cucmd.protocol.jobs import Job, JobSummary, WatchReply

# rich would use these variables to set a width, which may be old, or to decide that the stream is
# no terminal. The caller has already checked that it is one.
IGNORED_VARIABLES = ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
# SIGQUIT is sent by Ctrl-\, SIGHUP when a session is closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
SIGNALS = (*ENDING, signal.SIGTSTP)
# The number of jobs that are printed when a view of all jobs ends.
NEWEST = 20
# The number of jobs that are kept. No terminal has more lines.
MOST_LINES = 200


class Live(View):
    """The live view of one job, or of all jobs."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        environ = {name: os.environ[name] for name in os.environ if name not in IGNORED_VARIABLES}
        self._stream = stream
        self._console = Console(file=stream, highlight=False, _environ=environ)
        self._ascii_only = printer.ascii_only(stream)
        self._clock = clock
        self._rates = Rates()
        self._job: Job | None = None
        self.jobs: dict[str, JobSummary] | None = None  # in a view of all jobs, oldest first
        self._ended = EndedJobs()
        self._missed = 0
        self._away = ""  # the message that is shown while the daemon is away
        self._live = rich.live.Live(
            get_renderable=self._screen, console=self._console, screen=True, refresh_per_second=4
        )
        self._before: dict[signal.Signals, signal._HANDLER] = {}
        self._settings: list[Any] | None = None  # old settings of the terminal, if changed
        # If Ctrl-C is ignored, the program that started cucmctl is expected to end it. A hint about
        # Ctrl-C would be wrong.
        self._ends_at_ctrl_c = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN

    def __enter__(self) -> View:
        # The default handlers would leave the terminal on the alternate screen.
        handlers = dict.fromkeys(ENDING, self._leave)
        handlers[signal.SIGTSTP] = self._suspend
        try:
            with _signals_blocked():
                self._before = {
                    number: signal.signal(number, ours)
                    for number, ours in handlers.items()
                    if signal.getsignal(number) is not signal.SIG_IGN
                }
                self._draw()
        # A signal that came meanwhile is delivered at the end of `_signals_blocked`. Its handler
        # raises.
        except BaseException:
            self._restore_terminal()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        """Prints the last state on the normal screen."""
        self._restore_terminal()
        columns, rows = self._console.size
        layout = printer.Layout(
            colour=not self._console.no_color, columns=columns, ascii_only=self._ascii_only
        )
        self._console.file.writelines(f"{text}\n" for text in self._last_lines(rows, layout))
        self._console.file.flush()

    def _last_lines(self, rows: int, layout: printer.Layout) -> Iterable[str]:
        """Returns the lines that stay on the terminal when the view ends."""
        lines: Iterable[str] = ()
        if self.jobs is not None:
            unfinished = sum(job.status not in render.JOB_ENDED for job in self.jobs.values())
            shown, _ = select_jobs(self.jobs.values(), max(NEWEST, unfinished))
            lines = job_list.jobs(shown, datetime.now(UTC), **layout)
        elif self._job is not None:
            may = self.may_operate
            of_job = render.show_job(self._job, datetime.now(UTC), may_operate=may, **layout)
            # `conclude` needs one row.
            lines = render.first_in_view(of_job, rows - 1, layout["columns"])
        return lines

    def _restore_terminal(self) -> None:
        with _signals_blocked():
            self._erase()
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal that ends the view. A second signal must not interrupt the handler.

        So all signals get a handler that does nothing. SIG_IGN would make Python complain about a
        signal that came just before. The handler stays when the view has ended, so that the message
        after a Ctrl-C can be printed. A signal that was ignored at the start stays ignored.
        """
        for ended_by in ENDING:
            if ended_by in self._before:
                signal.signal(ended_by, _ignore)
                del self._before[ended_by]
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Handles Ctrl-Z: restores the terminal, stops, and draws again in the foreground."""
        with _signals_blocked():
            self._erase()
        os.kill(os.getpid(), signal.SIGSTOP)
        while not terminal.in_foreground(self._console.file.fileno()):
            os.kill(os.getpid(), signal.SIGSTOP)
        with _signals_blocked():
            self._draw()

    def _draw(self) -> None:
        self._settings = terminal.keep_output_at_ctrl_c(self._console.file.fileno())
        self._live.start()

    def _erase(self) -> None:
        self._live.stop()
        if self._settings is not None:
            terminal.set_terminal(self._console.file.fileno(), self._settings)
            self._settings = None

    def show(self, change: WatchReply) -> None:
        self._missed += change.missed
        if change.jobs is not None:
            self._list({job.job_id: job for job in reversed(change.jobs)})
        if change.job is not None and self.jobs is not None:
            if change.job.deleted:
                self._ended.add(change.job.job_id)
                left = {name: job for name, job in self.jobs.items() if name != change.job.job_id}
                self._list(left)
            # A job that is not in the list is usually new, so add it in front. Do not add a job
            # that is closed or in `_ended`: it was removed from the list, or it ended before this
            # watch began and only its labels or files have changed.
            elif change.job.job_id in self.jobs or not (
                change.job.closed or self._ended.has(change.job)
            ):
                self._list(self.jobs | {change.job.job_id: render.summary(change.job)})
        elif change.job is not None:
            self._rates.observe(change.job, self._clock())
            self._job = change.job

    def went_away(self, why: str, seconds: float) -> None:
        self._away = f"the daemon went away; waiting {seconds:g} s for it"
        if not self._live.is_started:
            super().went_away(why, seconds)

    def came_back(self) -> None:
        self._away = ""
        if not self._live.is_started:
            super().came_back()

    def conclude(self, job: Job) -> None:
        """Prints what has become known since `__exit__`, such as gaps, and the next commands."""
        shown = () if self._job is None else self._remarks(self._job)
        new = [line for remark in self._remarks(job) if remark not in shown for line in remark]
        for text in new:
            for line in wrapped(text, self._console.size.width):
                printer.line(line, self._stream)
        for text in render.next_commands(job) if self.may_operate else ():
            printer.line(text, self._stream)

    def _remarks(self, job: Job) -> list[tuple[str, ...]]:
        """Returns each remark, which may be followed by a hint, as lines that are not wrapped."""
        found: list[tuple[str, ...]] = []
        ascii_only, may = self._ascii_only, self.may_operate
        for line in remarks(job, columns=sys.maxsize, ascii_only=ascii_only, may_operate=may):
            if line.startswith(" ") and found:
                found[-1] += (line,)
            else:
                found.append((line,))
        return found

    def _list(self, jobs: dict[str, JobSummary]) -> None:
        """Replaces the list. It is never changed in place, because another thread may draw it.

        A watch may run for months, so jobs that have ended are removed beyond MOST_LINES.
        """
        ended = [job_id for job_id, job in jobs.items() if job.status in render.JOB_ENDED]
        for job_id in ended:
            self._ended.add(job_id)
        for old in list(islice(jobs, max(0, len(jobs) - MOST_LINES))):
            if old in ended:
                del jobs[old]
        self.jobs = jobs

    def _screen(self) -> RenderableType:
        width, height = self._console.size
        if self.jobs is not None:
            # One line is for the headings, and one for the hint.
            shown, hidden = select_jobs(self.jobs.values(), max(0, height - 2))
            table = job_list.jobs(
                shown, datetime.now(UTC), columns=width, ascii_only=self._ascii_only
            )
            lines = [Text(text, no_wrap=True, overflow="crop") for text in table]
            more = f"and {hidden} more that run or wait; " if hidden else ""
            last = self._away or f"{more}Ctrl-C ends the view; the jobs go on"
            return Group(*lines, Text(last, "dim"))
        if self._job is None:
            return Text("waiting for the daemon", "dim")
        frame = Frame(
            self._job,
            self._rates,
            self._clock(),
            datetime.now(UTC),
            width,
            ascii_only=self._ascii_only,
            current=not self._away,
        )
        hint = "Ctrl-C ends the view; the job goes on" if self._ends_at_ctrl_c else ""
        return Group(*frame.lines(height, self._missed, self._away or hint))


def select_jobs(oldest_first: Iterable[JobSummary], space: int) -> tuple[list[JobSummary], int]:
    """Returns the jobs that get a line, newest first, and the number of hidden unfinished jobs.

    Jobs that have not ended are preferred, however old they are.
    """
    newest_first = list(oldest_first)[::-1]
    urgent = sorted(newest_first, key=lambda job: job.status in render.JOB_ENDED)
    chosen = {job.job_id for job in urgent[:space]}
    hidden = sum(job.status not in render.JOB_ENDED for job in urgent[space:])
    return [job for job in newest_first if job.job_id in chosen], hidden


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Blocks SIGNALS while the body runs. A thread that starts in the body keeps them blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore(number: int, frame: FrameType | None) -> None:
    pass
