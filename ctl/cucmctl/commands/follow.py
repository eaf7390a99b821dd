"""`follow`: prints a file on nodes while it grows, until Ctrl-C.

Standard output has only the lines of the file. With several nodes, each line begins with the name
of its node.

    Ctrl-C                  ends the job on the nodes, and prints what is still on its way; if no
                            node has begun, the job is cancelled
    a second Ctrl-C         leaves at once; the job ends by itself
    SIGTERM, a closed terminal, or a closed pipe
                            ends the job, because nobody reads the lines, and leaves at once
"""

from __future__ import annotations

import argparse
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from cucmctl.cli import exits, printer
from cucmctl.cli.options import OnlyOnce, Verb, VerbParser, add_targets
from cucmctl.cli.typed_times import duration
from cucmctl.client.client import Client
from cucmctl.client.errors import ClientError, DaemonUnavailable, InvalidRequest, ShuttingDown
from cucmctl.commands.begin import ON_NODES, add_job_options, begin_on_nodes
from cucmctl.commands.watch import add_reconnect, follow
from cucmctl.text import render
from cucmctl.text.remarks import short_names
from cucmctl.text.views import AfterOutputs
from cucmd.job.work_request import Tail
from cucmd.protocol.cases import CommandOutput
from cucmd.protocol.jobs import Job

TIMEOUTS = ON_NODES | {"answer": "seconds until a node takes the command"}

# Seconds between two looks at whether the reader of the lines has gone.
_LOOK_EVERY = 1.0
# Seconds for the daemon to confirm that the job has ended. Ctrl-C is ignored meanwhile.
_ANSWERS_WITHIN = 5.0


def _arguments(parser: VerbParser) -> None:
    parser.usage = (
        "%(prog)s (TARGET ... | --cluster-of NODE) PATH\n"
        "                      [--recent] [--regexp REGEX] [--duration TIME]"
    )
    add_targets(parser)
    parser.targets = "TARGET or PATH"
    add = parser.add_argument
    add("path", metavar="PATH", help="a file below activelog, such as syslog/messages")
    add("--recent", action="store_true", help="PATH is a folder; follow its newest file")
    add(
        "--regexp",
        metavar="REGEX",
        action=OnlyOnce,
        help="only lines that match; one word, so write . for a blank",
    )
    add(
        "--duration",
        metavar="TIME",
        action=OnlyOnce,
        type=duration,
        help="end after TIME, such as 90s or 5m (default: 20m; at most 30m)",
    )
    how = add_job_options(parser, TIMEOUTS)
    add_reconnect(how)


def _follow(arguments: argparse.Namespace) -> int:
    work = Tail(
        arguments.path, arguments.recent or None, arguments.regexp, duration=arguments.duration
    )
    return begin_on_nodes(arguments, "follow", TIMEOUTS, work, on_start=_on_start)


def _on_start(client: Client, job: Job, arguments: argparse.Namespace) -> int:
    nodes = render.count_of(len(job.nodes), "node")
    path = printer.visible(arguments.path)
    printer.note(f"job {job.job_id} follows {path} on {nodes}; Ctrl-C ends it")
    try:
        with _end_on_signals(client, job):
            names = short_names(job.nodes) if len(job.nodes) > 1 else {}
            for piece in client.output(job.job_id, follow=True):
                _print(piece, names, as_json=arguments.json)
    except (DaemonUnavailable, ShuttingDown):
        pass  # the result of the job is reported once the daemon is back
    except OSError:
        _leave(client, job)
        raise
    view = partial(AfterOutputs, as_json=arguments.json)
    return follow(client, job.job_id, view, reconnect=arguments.reconnect, begun=job)


def _print(piece: CommandOutput, names: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        printer.json_line({"output": piece})
    elif piece.text:
        before = f"{printer.visible(names[piece.node])}: " if names else ""
        lines = piece.text.removesuffix("\n").split("\n")
        printer.line("\n".join(f"{before}{printer.visible(line)}" for line in lines))


@contextmanager
def _end_on_signals(client: Client, job: Job) -> Iterator[None]:
    """Ends the job at the first Ctrl-C; the second one has its usual effect.

    A signal that is ignored stays ignored, as in the background of a script or under nohup.
    """

    def end(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the daemon has answered
        ended = _end_job(client, job)
        signal.signal(signal.SIGINT, before[signal.SIGINT])
        printer.note(
            "the job ends on the nodes; Ctrl-C again does not wait for that"
            if ended
            else "Ctrl-C again leaves it running"
        )

    def leave(number: int, frame: Any) -> None:
        _leave(client, job)
        sys.exit(128 + number)

    def look(number: int, frame: Any) -> None:
        """Leaves if nobody reads the lines. `print` would find out only with the next line."""
        poll = select.poll()
        poll.register(1, 0)  # standard output; POLLERR and POLLHUP are always reported
        if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)):
            leave(signal.SIGPIPE, frame)

    handlers = {signal.SIGINT: end, signal.SIGTERM: leave, signal.SIGHUP: leave}
    handlers[signal.SIGALRM] = look
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    timer = signal.setitimer(signal.ITIMER_REAL, _LOOK_EVERY, _LOOK_EVERY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        for number in handlers:
            signal.signal(number, before[number])


def _leave(client: Client, job: Job) -> None:
    """Ends the job, and says so."""
    if _end_job(client, job):
        printer.note(f"job {job.job_id} was ended on the nodes")


def _end_job(client: Client, job: Job) -> bool:
    """Asks the daemon to end the job, and returns whether it did.

    Uses a new connection, since a signal may arrive in the middle of another call.
    """
    with Client(client.socket, timeout=_ANSWERS_WITHIN) as own:
        try:
            try:
                own.stop(job.job_id)
            except InvalidRequest:  # no node has begun, or the job has ended
                own.cancel(job.job_id)
        except ClientError as error:
            printer.note(f"the job was not ended: {exits.message_of(error)}")
            return False
    return True


COMMANDS = {
    "follow": Verb(
        "Prints the last lines of a file on every TARGET, and then what is added to it.\n"
        "With several nodes, each line begins with the name of its node. Ctrl-C, --duration\n"
        "and cucmctl stop end it on the nodes. The lines are kept in the job, up to 64 MiB\n"
        "a node. The account needs privilege level 1. With --json, prints an object a line.",
        "  cucmctl follow ccm-pub --user administrator syslog/messages\n"
        "  cucmctl follow berlin --recent cm/trace/cti/sdi --regexp Exception",
        exits.ENDED,
        _arguments,
        _follow,
    )
}
