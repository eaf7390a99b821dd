"""`watch` and `wait`: follow a job until it ends; `start --watch` uses the same code. `events`:
prints everything that happens to jobs, for other programs.

After Ctrl-C or a timeout the job goes on, and a message says so.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import TextIO

import msgspec

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UsageError, Verb, VerbParser, add_job, seconds, seconds_or_none
from cucmctl.client.client import Client
from cucmctl.client.errors import (
    ClientError,
    DaemonUnavailable,
    ProtocolError,
    ShuttingDown,
    StorageFailed,
)
from cucmctl.client.job_events import Events, EventSteps
from cucmctl.client.method_call import run_steps
from cucmctl.client.reconnect import DEFAULT, watch
from cucmctl.commands.lookup import offer
from cucmctl.commands.show import unfinished_older_than
from cucmctl.text import render
from cucmctl.text.kind_text import text_of
from cucmctl.text.views import EndingOnly, JsonLines, Lines, View
from cucmd.job.work import KINDS, kind_of
from cucmd.protocol.jobs import Job, WatchReply
from cucmd.protocol.requests import DEFAULT_LIMIT

# Seconds to wait after the end of a job for what its files cover: first without a message, which is
# enough for small collections, and then after a message.
QUIET_WAIT, COVERAGE_WAIT = 1.0, 60.0
# Kinds of work that `stop` ends without losing what was collected.
SIMULTANEOUS = frozenset(kind_of(kind) for kind in KINDS if kind.simultaneous)


def _events_arguments(parser: VerbParser) -> None:
    help_ = "an id, its first characters, or @last; without it, all jobs until Ctrl-C"
    add_job(parser, nargs="?", help_=help_)
    add_reconnect(parser)


def _watch_arguments(parser: VerbParser) -> None:
    _events_arguments(parser)
    add_strict(parser)


def add_strict(parser: argparse._ActionsContainer) -> None:
    """Declares --strict."""
    parser.add_argument(
        "--strict", action="store_true", help="exit 3 if a part of the time window is missing"
    )


def add_reconnect(parser: argparse._ActionsContainer) -> None:
    """Declares --reconnect."""
    parser.add_argument(
        "--reconnect",
        metavar="S",
        type=seconds_or_none,
        default=DEFAULT,
        help=f"seconds to wait for a daemon that went away (default: {DEFAULT:g}); 0: do not wait",
    )


def _watch(arguments: argparse.Namespace) -> int:
    client = Client(arguments.socket)
    if arguments.job is not None:
        options = {"reconnect": arguments.reconnect, "strict": arguments.strict}
        return follow(client, arguments.job, lambda: _view(arguments), **options)
    if arguments.strict:
        raise UsageError("--strict: needs a JOB")
    view = _view(arguments)
    changes = _wait_for_first(watch(client, None, view, reconnect=arguments.reconnect))
    if not arguments.json:  # with --json, each reply is printed as it came
        changes = _with_older(client, changes)
    with client, view:
        for change in changes:  # ends at Ctrl-C, which needs no message here
            view.show(change)
    return exits.DONE


def _with_older(client: Client, changes: Iterator[WatchReply]) -> Iterator[WatchReply]:
    """Yields the replies, and adds older jobs that have not ended to each list."""
    for change in changes:
        if change.jobs is None:
            yield change
            continue
        try:
            rest = unfinished_older_than(client, change.jobs, DEFAULT_LIMIT)
        except (DaemonUnavailable, ShuttingDown):  # the watch ends too, and is repeated
            rest = []
        yield msgspec.structs.replace(change, jobs=(*change.jobs, *rest))


def _view(arguments: argparse.Namespace) -> View:
    return JsonLines() if arguments.json else view_on(sys.stdout)


def _wait_arguments(parser: VerbParser) -> None:
    add_job(parser)
    parser.add_argument(
        "--timeout", metavar="S", type=seconds, help="give up after S seconds; the job goes on"
    )
    add_strict(parser)
    add_reconnect(parser)


def _wait(arguments: argparse.Namespace) -> int:
    return follow(
        Client(arguments.socket),
        arguments.job,
        lambda: EndingOnly(sys.stdout, as_json=arguments.json),
        timeout=arguments.timeout,
        reconnect=arguments.reconnect,
        strict=arguments.strict,
    )


def view_on(stream: TextIO) -> View:
    """Returns the live view if the stream is a terminal, else a view that prints lines."""
    if not printer.on_terminal(stream):
        return Lines(stream)
    from cucmctl.text.live import Live  # noqa: PLC0415  # loads rich, which only this view needs

    return Live(stream)


def follow(
    client: Client,
    name: str,
    make_view: Callable[[], View],
    *,
    reconnect: float,
    timeout: float | None = None,
    begun: Job | None = None,
    strict: bool = False,
) -> int:
    """Shows every change of a job until it ends, and which parts of its window are missing.

    Returns the exit code for how it ended.

    begun   the job from the reply to `start` or `retry`
    strict  as for `exits.code_of_job`

    The view is made inside this function, because a Ctrl-C may come while its module is loaded.
    """
    job = begun
    try:
        view = make_view()
        view.may_operate = bool(offer(client, "retry"))
        known = begun is not None
        if begun is not None:
            view.pass_over(begun)
        changes = _wait_for_first(
            watch(client, name, view, timeout=timeout, reconnect=reconnect, known=known)
        )
        with view:
            for change in changes:
                if change.job is not None and (job is None or job is begun):
                    text_of(change.job)  # loads its module before an upgrade can replace the file
                job = change.job or job
                view.show(change)
        if job is None or job.status not in render.JOB_ENDED:
            raise ProtocolError(f"the watch of job {_id(job, name)} ended before the job did")
        job = _wait_for_coverage(client, job)
        view.conclude(job)
        if _is_read(job):
            see = f"cucmctl status {job.job_id}"
            printer.note(f"it is not known yet what the files cover; to see it later: {see}")
    except KeyboardInterrupt:
        report_job_goes_on(job, name, client)
        return exits.INTERRUPTED
    except TimeoutError:
        printer.note(f"job {_id(job, name)} has not ended within {timeout:g} s; it goes on")
        return exits.WAIT_TIMED_OUT
    return exits.code_of_job(job, strict=strict)


def _wait_for_coverage(client: Client, job: Job) -> Job:
    """Waits until it is known what the files of an ended job cover, but not for long.

    Returns the job as it is then.
    """
    text = f"job {job.job_id} has ended; waiting for what its files cover, for at most"
    for wait, note in ((QUIET_WAIT, ""), (COVERAGE_WAIT, f"{text} {COVERAGE_WAIT:g} s")):
        if not (_is_read(job) if note else job.coverage_pending):
            break
        if note:
            printer.note(note)
        # Only a watch of all jobs has changes after the end of a job. Its first reply says that no
        # later change is missed.
        with suppress(TimeoutError, ClientError), client:
            for reply in client.watch(changes=True, timeout=wait):
                if reply.change is None or reply.change.job_id == job.job_id:
                    job = client.status(job.job_id)
                if not job.coverage_pending:
                    break
    return job


def _is_read(job: Job) -> bool:
    """Returns whether files came, and it is not known yet what they cover."""
    return bool(job.coverage_pending) and any(node.files_received for node in job.nodes)


def _wait_for_first(changes: Iterator[WatchReply]) -> Iterator[WatchReply]:
    """Waits for the first reply, so that an error is raised before a view is shown."""
    return chain((next(changes),), changes)


def report_job_goes_on(job: Job | None, name: str, client: Client) -> None:
    """Prints after a Ctrl-C whether the job goes on. `name` is the job as it was typed."""
    # A second Ctrl-C must not interrupt the message.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    if job is not None and job.status in render.JOB_ENDED:
        printer.note(f"job {job.job_id} has ended: {job.status}")
        return
    known = _id(job, name)
    stop = output = ""
    if job is not None and job.commands and not job.collection.paths:
        output = f"; to print what its commands say: cucmctl output {known}"
    if job is not None and job.kind in SIMULTANEOUS:
        stop = f"to end it and keep what came: cucmctl stop {known}; "
    ways = offer(client, f"; {stop}to cancel it: cucmctl cancel {known}")
    printer.note(f"job {known} goes on{output}{ways}")


def _id(job: Job | None, name: str) -> str:
    return name if job is None else job.job_id


def _events(arguments: argparse.Namespace) -> int:
    """Prints each event as one complete line that can be understood without the others."""
    wait = arguments.reconnect
    with Client(arguments.socket) as client:
        events = Events()
        if arguments.job is None:
            _print_events(client, events.begin())
        for reply in watch(client, arguments.job, View(), reconnect=wait, changes=True):
            try:
                _print_events(client, events.from_reply(reply))
            except (DaemonUnavailable, ShuttingDown):
                pass  # the watch ends too; missed events follow when it is repeated
            except StorageFailed as error:
                printer.note(f"the missed events are not known: {exits.message_of(error)}")
    return exits.DONE


def _print_events(client: Client, steps: EventSteps) -> None:
    for event in run_steps(steps, client.ask):
        printer.json_line({"time": datetime.now(UTC), **msgspec.to_builtins(event)})


COMMANDS = {
    "watch": Verb(
        "Follows a job until it ends: with a live view on a terminal, elsewhere with a line\n"
        "for each change. Ctrl-C ends the view, and the job goes on. Without JOB, follows\n"
        "all jobs.",
        "  cucmctl watch 3f2a\n  cucmctl watch 3f2a --json | jq -c .job.status",
        exits.ENDED,
        _watch_arguments,
        _watch,
    ),
    "wait": Verb(
        "Waits until a job has ended, and prints how it ended.",
        "  cucmctl wait 3f2a --strict\n"
        "  cucmctl wait 3f2a --timeout 600 || echo not succeeded, or not yet",
        f"{exits.ENDED}, 6 not ended within --timeout",
        _wait_arguments,
        _wait,
    ),
    "events": Verb(
        "Prints what happens to jobs as JSON, an object a line. First comes the state of\n"
        "the jobs that run or wait, then each change. `event` is state, change, missed (the\n"
        "reader was too slow) or gone (the job was deleted while the daemon was away). No\n"
        "change is printed twice, even after a restart of the daemon.",
        "  cucmctl events | jq -c 'select(.job.closed) | .job_id'\n  cucmctl events 3f2a",
        "0 the job has ended",
        _events_arguments,
        _events,
    ),
}
