"""`files` and `transcript`: what a job has collected, and what was said on a node.

It is printed as it comes, after `visible`; a job may have 100,000 files.
"""

from __future__ import annotations

import argparse
import sys

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Verb, VerbParser, add_job, add_nodes_of_job
from cucmctl.client.client import Client
from cucmctl.text import remarks, render
from cucmd.protocol.cases import File


def _files_arguments(parser: VerbParser) -> None:
    add_job(parser)
    add_nodes_of_job(parser)


def _files(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        found = client.files(arguments.job, arguments.node)
        if arguments.json:
            for file in found:
                printer.json_line(file)
            return exits.DONE
        count = size = 0
        nodes = set()
        for file in found:
            printer.line(_line(file))
            count, size = count + 1, size + file.size
            nodes.add(file.node)
        # Such as that a node did not say how much it would send: then "complete" says less.
        if nodes:
            job = client.status(arguments.job)
            for note in remarks.notes(node for node in job.nodes if node.node in nodes):
                printer.note(note)
    if not count:
        printer.note("no files are on record; those of a node are, once it has ended")
    elif printer.on_terminal(sys.stdout):
        printer.note(f"{render.counting(count, 'file')}, {render.size(size)}")
    return exits.DONE


def _line(file: File) -> str:
    """Node, size, time stamp, whether it counts, path. The path is last: it can be long."""
    modified = render.local(file.modified) if file.modified else "-" * 19
    state = "complete" if file.exported else "superseded" if file.complete else "incomplete"
    checksum = file.sha256 or "-" * 64
    return (
        f"{printer.visible(file.node)}  {state:<10}  {file.attempt or '-'!s:>2}  "
        f"{file.size:>13}  {modified}  {checksum}  {printer.visible(file.path)}"
    )


def _transcript_arguments(parser: VerbParser) -> None:
    add_job(parser)
    parser.add_argument("node", metavar="NODE", help="as status names it")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="until the node has ended; Ctrl-C ends it"
    )


def _transcript(arguments: argparse.Namespace) -> int:
    empty = True
    with Client(arguments.socket) as client:
        for text in client.transcript(arguments.job, arguments.node, follow=arguments.follow):
            empty = empty and not text
            _print(text, as_json=arguments.json)
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
    "files": Verb(
        "Lists the files of a job: node, whether it is complete (superseded: a later\n"
        "attempt succeeded and collected it again), the attempt, bytes, the time stamp\n"
        "that the node gave it, SHA-256, and the path as the node named it; then the\n"
        "notes of these nodes, such as that its sizes were not known and so not compared.\n"
        "With --json an object a line.",
        "  cucmctl files 3f2a\n  cucmctl files 3f2a --node ccm-sub1\n"
        "  cucmctl --json files 3f2a | jq -r 'select(.complete | not) | .path'",
        _files_arguments,
        _files,
    ),
    "transcript": Verb(
        "Prints what was said on a node, and what was answered, with passwords masked\n"
        "and escapes made harmless.",
        "  cucmctl transcript 3f2a ccm-sub1\n  cucmctl transcript 3f2a ccm-sub1 -f",
        _transcript_arguments,
        _transcript,
    ),
}
