"""`verify`: has the daemon compare the files of a job with their checksums.

The one rule: each file that is wrong is a line on standard output, as it is found.
"""

from __future__ import annotations

import argparse

from cucmctl import exits, printer, render
from cucmctl.client import Client
from cucmctl.options import Command, job_id
from cucmd.api.structs import VerifyReply


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", type=job_id, help="an id or its first characters")
    parser.add_argument(
        "--node", metavar="N", action="append", help="only of this node; may be repeated"
    )


def _verify(arguments: argparse.Namespace) -> int:
    wrong = 0
    last = VerifyReply(0, 0, ())
    with Client(arguments.socket) as client:
        try:
            for last in client.verify(arguments.job, arguments.node):
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
    said = f"{render.counting(wrong, 'file')} of them differ" if wrong else "all as received"
    printer.note(f"{render.counting(last.files, 'file')}, {render.size(last.bytes)}: {said}")
    return exits.FAILED if wrong else exits.DONE


COMMANDS = {
    "verify": Command(
        "Has the daemon read every complete file of a job, with low priority, and\n"
        "compare it with the checksum that it had when it came. Prints the files that\n"
        "differ or are gone; the exit code is 1 then.",
        "  cucmctl verify 3f2a",
        _arguments,
        _verify,
    )
}
