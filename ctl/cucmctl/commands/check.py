"""`check`: reports whether a collection from nodes can be expected to work.

Standard output has only the findings and what to do about them.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import printer
from cucmctl.cli.options import Verb, VerbParser, add_targets
from cucmctl.commands.begin import COLLECTING, add_job_options, and_follow, begin_on_nodes
from cucmctl.commands.watch import add_reconnect
from cucmctl.text import check_text, render
from cucmctl.text.views import TableAtTheEnd
from cucmd.job.asked import Checks
from cucmd.protocol.jobs import Job

TIMEOUTS = COLLECTING | {
    "answer": "for each of the commands",
    "command": "for the file of --receiver",
    "stall": "in its transfer, so long without a byte",
}


def _arguments(parser: VerbParser) -> None:
    parser.usage = "%(prog)s (TARGET ... | --cluster-of NODE) [--receiver]"
    add_targets(parser)
    parser.add_argument(
        "--receiver",
        action="store_true",
        help="get one small file of each node too, which proves that it reaches this host",
    )
    how = add_job_options(parser, TIMEOUTS)
    add_reconnect(how)


def _check(arguments: argparse.Namespace) -> int:
    stay = and_follow(
        lambda job: f"checks {render.count_of(len(job.nodes), 'node')}",
        lambda: CheckTable(receiver=arguments.receiver, as_json=arguments.json),
    )
    work = Checks(arguments.receiver or None)
    return begin_on_nodes(arguments, "check", TIMEOUTS, work, stay=stay)


class CheckTable(TableAtTheEnd):
    """Prints the table, and a note if the receiver was not tested."""

    def __init__(self, *, receiver: bool, as_json: bool) -> None:
        super().__init__(check_text.table, as_json=as_json)
        self._receiver = receiver

    def conclude(self, job: Job) -> None:
        super().conclude(job)
        if not self._receiver:
            printer.note("whether the nodes reach this host was not looked at: --receiver")


COMMANDS = {
    "check": Verb(
        "Looks whether a collection from every TARGET can be expected to work, and prints\n"
        "a table: does its port answer, was its host key known, did login and prompt\n"
        "come, by how much is its clock ahead, how much of its logging partition is free,\n"
        "product and version; below it, what failed and what to do about it. Nothing is\n"
        "changed on a node. The exit code is 0 only if every node has passed; a note\n"
        "fails none. It is a job: Ctrl-C leaves it running.",
        "  cucmctl check berlin --receiver\n"
        "  cucmctl check ccm-pub ccm-sub1 --user administrator\n"
        "  cucmctl --json check berlin --receiver | jq '.nodes[].checked'",
        _arguments,
        _check,
    )
}
