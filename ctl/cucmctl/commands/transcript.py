"""`transcript`: what was said on a node.

What a node sent is printed only after `visible`, line by line.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command, job_id
from cucmctl.client.client import Client


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", type=job_id, help="an id or its first characters")
    parser.add_argument("node", metavar="NODE", help="as status names it")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="until the node has ended; Ctrl-C ends it"
    )


def _transcript(arguments: argparse.Namespace) -> int:
    empty = True
    with Client(arguments.socket) as client:
        try:
            for text in client.transcript(arguments.job, arguments.node, follow=arguments.follow):
                empty = empty and not text
                _print(text, as_json=arguments.json)
        except KeyboardInterrupt:
            return exits.INTERRUPTED
    if empty:
        printer.note("nothing was said on this node: it was not reached, or its files are gone")
    return exits.DONE


def _print(text: str, *, as_json: bool) -> None:
    if as_json and text:
        printer.json_line({"text": text})
    elif text:
        for line in text.removesuffix("\n").split("\n"):
            printer.line(printer.visible(line))


COMMANDS = {
    "transcript": Command(
        "Prints what was said on a node, and what was answered, with passwords masked\n"
        "and escapes made harmless.",
        "  cucmctl transcript 3f2a ccm-sub1\n  cucmctl transcript 3f2a ccm-sub1 -f",
        _arguments,
        _transcript,
    )
}
