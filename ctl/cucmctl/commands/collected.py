"""`files` and `transcript`: print the files of a job, and the dialogue with a node.

Both print as replies arrive; `files` prints all files of a node together.
"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Verb, VerbParser, add_job, add_nodes_of_job
from cucmctl.client.client import Client
from cucmctl.commands.lookup import keeps_files
from cucmctl.text import listing, remarks, render


def _files_arguments(parser: VerbParser) -> None:
    add_job(parser)
    add_nodes_of_job(parser)
    parser.add_argument(
        "-l", "--long", action="store_true", help="show checksums, attempts and whole paths"
    )


def _files(arguments: argparse.Namespace) -> int:
    layout, count = printer.layout(sys.stdout), 0
    with Client(arguments.socket) as client:
        found = client.files(arguments.job, arguments.node)
        if arguments.json:
            for file in found:
                printer.json_line(file)
            return exits.DONE
        job = None
        for name, of_node in groupby(found, lambda file: file.node):
            job = job or client.status(arguments.job)
            files = list(of_node)
            nodes = [node for node in job.nodes if node.node == name]
            shown = nodes[0].full_name if nodes else name
            for text in listing.files(shown, files, long=arguments.long, **layout):
                printer.line(text)
            count += len(files)
            # For example, that a node did not announce its sizes, so "complete" means less.
            for note in remarks.notes(nodes):
                printer.note(note)
        if job is not None and (arguments.long or job.files_deleted):
            for text in render.on_disk(job):
                printer.note(text)
        if not count and (job := client.status(arguments.job)).closed:
            printer.note(f"no file came; to see why: cucmctl status {job.job_id}")
        elif not count:
            printer.note("no files yet; the files of a node are listed once it has ended")
    return exits.DONE


def _transcript_arguments(parser: VerbParser) -> None:
    add_job(parser)
    parser.add_argument("node", metavar="NODE", nargs="?", help="the node, by name or address")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the node has ended, or Ctrl-C"
    )


def _transcript(arguments: argparse.Namespace) -> int:
    empty = True
    with Client(arguments.socket) as client:
        node = arguments.node
        if node is None:
            job = client.status(arguments.job)
            if len(job.nodes) != 1:
                names = [node.node for node in job.nodes]
                lines = [printer.visible(node.short_name) for node in job.nodes]
                printer.note(f"name one of these nodes: cucmctl transcript {job.job_id} NODE")
                return printer.show(names, lines, as_json=arguments.json)
            node = job.nodes[0].node
        for text in client.transcript(arguments.job, node, follow=arguments.follow):
            empty = empty and not text
            _print(text, as_json=arguments.json)
    if empty:
        text = "the transcript is empty: the node was never logged in to, or its files were deleted"
        printer.note(f"{text}; to see why: cucmctl status {arguments.job}")
    return exits.DONE


def _print(text: str, *, as_json: bool) -> None:
    if as_json and text:
        printer.json_line({"text": text})
    elif text:
        for line in text.removesuffix("\n").split("\n"):
            printer.line(printer.visible(line))


COMMANDS = {
    "files": Verb(
        "Lists the files of a job, node by node: size, time of the last change, and name.\n"
        "Files that do not count are marked as incomplete, or as superseded if a later\n"
        "attempt collected them again. With --json, prints one object a line.",
        "  cucmctl files 3f2a --node ccm-sub1 --long\n"
        "  cucmctl --json files 3f2a | jq -r 'select(.complete | not) | .path'",
        "0 done",
        _files_arguments,
        _files,
        keeps_files,
    ),
    "transcript": Verb(
        "Prints the dialogue with a node, with passwords masked and control characters\n"
        "escaped. Without NODE, lists the nodes if there are several.",
        "  cucmctl transcript 3f2a ccm-sub1\n  cucmctl transcript 3f2a ccm-sub1 -f",
        "0 done",
        _transcript_arguments,
        _transcript,
    ),
}
