"""`cancel`: ends a job, or some of its nodes.

See `commands/__init__.py`.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command, job_id
from cucmctl.client.client import Client


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", type=job_id, help="an id or its first characters")
    parser.add_argument("nodes", metavar="NODE", nargs="*", help="only these, as status names them")


def _cancel(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        reply = client.cancel(arguments.job, arguments.nodes or None)
    if arguments.json:
        printer.json_line(reply)
    else:
        printer.line(printer.visible(reply.message))
    return exits.DONE


COMMANDS = {
    "cancel": Command(
        "Cancels a job, or only some of its nodes. Nodes and jobs that have ended stay\n"
        "as they are.",
        "  cucmctl cancel 3f2a\n  cucmctl cancel 3f2a ccm-sub1 ccm-sub2",
        _arguments,
        _cancel,
    )
}
