"""`check`: whether a collection from nodes can be expected to work, before it is needed.

Standard output has what was found, and what to do about it, and nothing else.
"""

from __future__ import annotations

import argparse
import sys

from cucmctl.cli import printer
from cucmctl.cli.options import Command, VerbParser
from cucmctl.client.client import Client
from cucmctl.commands.ask_first import add_cluster_of, check_targets
from cucmctl.commands.begin import add_how, add_login_options, add_try_all
from cucmctl.commands.follow import add_reconnect, follow
from cucmctl.commands.on_nodes import begin_on_nodes
from cucmctl.text import checked, render
from cucmctl.text.remarks import remarks
from cucmctl.text.views import Silent
from cucmd.job.asked import Checks
from cucmd.protocol.jobs import Job

TIMEOUTS = {
    "connect": "to reach a node",
    "login": "from connected to the first prompt",
    "answer": "for each of the commands",
    "command": "for the file of --receiver",
    "stall": "in its transfer, so long without a byte",
    "node": "for a whole node",
    "job": "for the whole job",
}


def _arguments(parser: VerbParser) -> None:
    parser.usage = "%(prog)s (TARGET ... | --cluster-of NODE) [--receiver]"
    parser.add_argument(
        "nodes", metavar="TARGET", nargs="*", help="a host, or host:port; or a cluster"
    )
    add_cluster_of(parser)
    parser.add_argument(
        "--receiver",
        action="store_true",
        help="get one small file of each node too, which proves that it reaches this host",
    )
    add_login_options(parser)
    how = parser.add_argument_group("how")
    add_how(how, TIMEOUTS)
    add_try_all(how)
    add_reconnect(how)


def _check(arguments: argparse.Namespace) -> int:
    check_targets(arguments, "TARGET (see cucmctl check --help)")

    return begin_on_nodes(
        arguments, "check", TIMEOUTS, Checks(arguments.receiver or None), stay=_stay
    )


def _stay(client: Client, job: Job, arguments: argparse.Namespace) -> int:
    printer.note(f"job {job.job_id} checks {render.counting(len(job.nodes), 'node')}")
    return follow(
        client,
        job.job_id,
        lambda: Shown(receiver=arguments.receiver, as_json=arguments.json),
        reconnect=arguments.reconnect,
        begun=job,
    )


class Shown(Silent):
    """Shows the table at the end, and below it what failed and what is not as it should be."""

    def __init__(self, *, receiver: bool, as_json: bool) -> None:
        super().__init__(sys.stdout, as_json=as_json)
        self._receiver = receiver

    def conclude(self, job: Job) -> None:
        if self._json:
            for text in remarks(job.nodes):
                printer.note(text)
            printer.json_line(job)
        else:
            self._show(job)
        if not self._receiver:
            printer.note("whether the nodes reach this host was not looked at: --receiver")

    def _show(self, job: Job) -> None:
        layout = printer.layout(sys.stdout)
        for text in checked.table(job, **layout):
            printer.line(text)
        if said := list(remarks(job.nodes, all_names=layout["columns"] is None)):
            for text in ("", *said):
                printer.line(text)


COMMANDS = {
    "check": Command(
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
