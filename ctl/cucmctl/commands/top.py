"""`top`: shows what runs now, the fastest nodes first."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from cucmctl.cli import printer
from cucmctl.cli.options import Verb, VerbParser
from cucmctl.client.client import Client
from cucmctl.client.errors import JobNotFound
from cucmctl.client.methods import MOST_LISTED
from cucmctl.client.reconnect import again
from cucmctl.commands.watch import add_reconnect
from cucmctl.text.running import Running
from cucmctl.text.views import View

# Seconds between two looks at the daemon. A rate needs two looks.
EVERY = 1.0


def _top_arguments(parser: VerbParser) -> None:
    help_ = "look for a second, print what runs and exit; also if the output is no terminal"
    parser.add_argument("--once", action="store_true", help=help_)
    add_reconnect(parser)


def _top(arguments: argparse.Namespace) -> int:
    running = Running()
    with Client(arguments.socket) as client:
        _look(client, running)  # an error is raised before a view is shown
        if arguments.once or not (arguments.json or printer.on_terminal(sys.stdout)):
            time.sleep(EVERY)
            _look(client, running)
            at = datetime.now(UTC)
            lines = running.lines(at, **printer.layout(sys.stdout))
            return printer.show(_shown(running, at), lines, as_json=arguments.json)
        view = View()
        if not arguments.json:
            from cucmctl.text.top_view import TopView  # noqa: PLC0415  # loads rich

            view = TopView(sys.stdout, running)
        with view:
            while True:  # ends at Ctrl-C, which needs no message here
                time.sleep(EVERY)
                again(lambda: _look(client, running), view, reconnect=arguments.reconnect)
                if arguments.json:
                    printer.json_line(_shown(running, datetime.now(UTC)))


def _look(client: Client, running: Running) -> None:
    """Asks the daemon for its figures and for the jobs that run."""
    jobs = []
    for job in client.list(status="running", limit=MOST_LISTED):
        with suppress(JobNotFound):  # it was deleted meanwhile
            jobs.append(client.status(job.job_id))
    running.observe(jobs, client.figures(), time.monotonic())


def _shown(running: Running, at: datetime) -> dict[str, Any]:
    return {"time": at, "nodes": running.nodes(at)}


COMMANDS = {
    "top": Verb(
        "Shows what runs now, of all jobs, the fastest nodes first, on one screen. Ctrl-C ends\n"
        "the view, and the jobs go on. With --json, prints an object a second, with the nodes\n"
        "at work.",
        "  cucmctl top\n  cucmctl --json top --once | jq -r '.nodes[] | [.node, .rate] | @tsv'",
        "0 done",
        _top_arguments,
        _top,
    ),
}
