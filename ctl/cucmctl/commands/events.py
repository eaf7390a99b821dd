"""`events`: what happens to jobs, one JSON object a line, for other programs.

A line is complete when it is printed, and says by itself what it is about. Messages, such as that
the daemon went away, are on standard error.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command, job_id
from cucmctl.client.client import Client
from cucmctl.client.errors import DaemonUnavailable, ShuttingDown, StorageFailed
from cucmctl.client.events import Events
from cucmctl.client.reconnect import watch
from cucmctl.commands.follow import add_reconnect
from cucmctl.text.views import View
from cucmd.protocol.jobs import WatchReply


def _arguments(parser: argparse.ArgumentParser) -> None:
    help_ = "an id or its first characters; without it, all jobs until Ctrl-C"
    parser.add_argument("job", metavar="JOB", type=job_id, nargs="?", help=help_)
    add_reconnect(parser)


def _events(arguments: argparse.Namespace) -> int:
    wait = arguments.reconnect
    with Client(arguments.socket) as client:
        events = Events(client)
        try:
            if arguments.job is None:
                events.begin()
            for reply in watch(client, arguments.job, View(), reconnect=wait, changes=True):
                _print(events, reply)
        except KeyboardInterrupt:
            return exits.INTERRUPTED
    return exits.DONE


def _print(events: Events, reply: WatchReply) -> None:
    try:
        for event in events.of(reply):
            printer.json_line({"time": datetime.now(UTC), **event})
    except (DaemonUnavailable, ShuttingDown):
        pass  # the watch ends too, and what was not told is told once it is back
    except StorageFailed as error:
        printer.note(f"what was missed is not known: {exits.complaint(error)}")


COMMANDS = {
    "events": Command(
        "Prints what happens to jobs as JSON, an object a line: first the state of those\n"
        "that run or wait, then each change with the nodes that differ. event is state,\n"
        "change, missed where the reader was too slow, or gone for a job that was deleted\n"
        "while the daemon was away. job.revision counts the changes of a job, also over\n"
        "restarts of the daemon, and no change is printed twice; job.closed: it can be\n"
        "exported; job.deleted: it was its last change.",
        "  cucmctl events | jq -c 'select(.job.closed) | .job_id'",
        _arguments,
        _events,
    )
}
