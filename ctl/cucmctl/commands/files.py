"""`files`: what a job has collected.

A line is printed as it comes; a job may have 100,000 files.
"""

from __future__ import annotations

import argparse
import sys

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command, job_id
from cucmctl.client.client import Client
from cucmctl.text import remarks, render
from cucmd.protocol.cases import File


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", type=job_id, help="an id or its first characters")
    parser.add_argument(
        "--node", metavar="N", action="append", help="only of this node; may be repeated"
    )


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


COMMANDS = {
    "files": Command(
        "Lists the files of a job: node, whether it is complete (superseded: a later\n"
        "attempt succeeded and collected it again), the attempt, bytes, the time stamp\n"
        "that the node gave it, SHA-256, and the path as the node named it; then the\n"
        "notes of these nodes, such as that its sizes were not known and so not compared.\n"
        "With --json an object a line.",
        "  cucmctl files 3f2a\n  cucmctl files 3f2a --node ccm-sub1\n"
        "  cucmctl --json files 3f2a | jq -r 'select(.complete | not) | .path'",
        _arguments,
        _files,
    )
}
