"""`check`: reports whether a collection from nodes can be expected to work.

Standard output has only the findings and what to do about them.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Verb, VerbParser, add_targets
from cucmctl.commands.begin import COLLECTING, add_job_options, and_follow, begin_on_nodes
from cucmctl.commands.watch import add_reconnect
from cucmctl.text import check_text, render
from cucmctl.text.views import TableAtTheEnd
from cucmd.job.work_request import Checks
from cucmd.protocol.jobs import Job

TIMEOUTS = COLLECTING | {
    "answer": "seconds for each command",
    "command": "seconds for the file of --receiver",
    "stall": "seconds without a byte of that file",
}


def _arguments(parser: VerbParser) -> None:
    parser.usage = "%(prog)s (TARGET ... | --cluster-of NODE) [--receiver]"
    add_targets(parser)
    parser.add_argument(
        "--receiver",
        action="store_true",
        help="also get one small file, which proves that the node reaches this host",
    )
    how = add_job_options(parser, TIMEOUTS)
    add_reconnect(how)


def _check(arguments: argparse.Namespace) -> int:
    on_start = and_follow(
        lambda job: f"checks {render.count_of(len(job.nodes), 'node')}",
        lambda: CheckTable(receiver=arguments.receiver, as_json=arguments.json),
    )
    work = Checks(arguments.receiver or None)
    return begin_on_nodes(arguments, "check", TIMEOUTS, work, on_start=on_start)


class CheckTable(TableAtTheEnd):
    """Prints the table, and a note if the receiver was not tested."""

    def __init__(self, *, receiver: bool, as_json: bool) -> None:
        super().__init__(check_text.table, as_json=as_json)
        self._receiver = receiver

    def conclude(self, job: Job) -> None:
        super().conclude(job)
        if not self._receiver:
            printer.note("whether the nodes reach this host is checked only with --receiver")


COMMANDS = {
    "check": Verb(
        "Checks whether a collection from every TARGET can be expected to work. Prints a\n"
        "table: port, host key, login, prompt, clock, free space for logs, product and\n"
        "version; below it, what failed and what to do. Nothing is changed on a node.",
        "  cucmctl check berlin --receiver\n"
        "  cucmctl --json check ccm-pub --user administrator | jq '.nodes[].checked'",
        exits.ENDED,
        _arguments,
        _check,
    )
}
