"""`events`: what happens to jobs, one JSON object a line, for other programs.

The one rule: a line is complete when it is printed, and says by itself what it is about.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

from cucmctl import exits, printer
from cucmctl.client import Client
from cucmctl.options import Command, job_id
from cucmd.api.structs import WatchReply


def _arguments(parser: argparse.ArgumentParser) -> None:
    help_ = "an id or its first characters; without it, all jobs until Ctrl-C"
    parser.add_argument("job", metavar="JOB", type=job_id, nargs="?", help=help_)


def _events(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        try:
            for reply in client.watch(arguments.job, changes=True):
                for event in _events_of(reply):
                    printer.json_line({"time": datetime.now(UTC), **event})
        except KeyboardInterrupt:
            return exits.INTERRUPTED
    return exits.DONE


def _events_of(reply: WatchReply) -> Iterator[dict[str, object]]:
    if reply.missed:
        yield {"event": "missed", "count": reply.missed}
    for summary in reply.jobs or ():
        yield {"event": "state", "job_id": summary.job_id, "job": summary}
    if reply.job is not None:
        yield {"event": "state", "job_id": reply.job.job_id, "job": reply.job}
    if reply.change is not None:
        yield {"event": "change", "job_id": reply.change.job_id, "job": reply.change}


COMMANDS = {
    "events": Command(
        "Prints what happens to jobs as JSON, an object a line: first the state of those\n"
        "that run or wait, then each change with the nodes that differ. event is state,\n"
        "change, or missed where the reader was too slow. job.revision counts the changes\n"
        "of a job, also over restarts of the daemon; job.closed: it can be exported.",
        "  cucmctl events | jq -c 'select(.job.closed) | .job_id'",
        _arguments,
        _events,
    )
}
