"""`verify`: compares the files of a job with their checksums.

Each file that is wrong is a line on standard output, as it is found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command, job_id
from cucmctl.client.client import Client
from cucmctl.export.files import verified
from cucmctl.text import render
from cucmd.protocol.cases import VerifyReply


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", type=job_id, help="an id or its first characters")
    parser.add_argument(
        "--node", metavar="N", action="append", help="only of this node; may be repeated"
    )


def _verify(arguments: argparse.Namespace) -> int:
    wrong = 0
    last = VerifyReply(0, 0, ())
    with ExitStack() as stack:
        client = stack.enter_context(Client(arguments.socket))
        try:
            for last in _replies(client, arguments.job, arguments.node, stack):
                wrong += len(last.wrong)
                for file in last.wrong:
                    if arguments.json:
                        printer.json_line(file)
                    else:
                        text = f"{file.node}  {file.path}  {file.reason}"
                        printer.line(printer.visible(text))
        except KeyboardInterrupt:
            printer.note(f"interrupted after {render.counting(last.files, 'file')}")
            return exits.INTERRUPTED
    said = "all as received"
    if wrong:
        said = f"{render.counting(wrong, 'file')} of them not as received"
    printer.note(f"{render.counting(last.files, 'file')}, {render.size(last.bytes)}: {said}")
    return exits.FAILED if wrong else exits.DONE


def _replies(
    client: Client, job: str, nodes: Sequence[str] | None, stack: ExitStack
) -> Iterator[VerifyReply]:
    """The daemon reads the files where they cannot be had."""
    export = client.export_files(job, nodes=nodes, verify=True)
    if export is None:
        return client.verify(job, nodes)
    return stack.enter_context(closing(verified(stack.enter_context(export))))


COMMANDS = {
    "verify": Command(
        "Reads every complete file of a job, with low priority, and compares it with\n"
        "the checksum that it had when it came. Prints the files that differ or are\n"
        "gone; the exit code is 1 then.",
        "  cucmctl verify 3f2a",
        _arguments,
        _verify,
    )
}
