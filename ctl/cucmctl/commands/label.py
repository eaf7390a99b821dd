"""`label`: changes the labels of a job.

See `commands/__init__.py`.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command, job_id, label, labels_of
from cucmctl.client.client import Client


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", type=job_id, help="an id or its first characters")
    parser.add_argument(
        "labels", metavar="KEY=VALUE", type=label, nargs="+", help="KEY= removes a label"
    )


def _label(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        job = client.label(arguments.job, labels_of("KEY=VALUE", arguments.labels))
    if arguments.json:
        printer.json_line(job)
        return exits.DONE
    for key, value in sorted((job.labels or {}).items()):
        printer.line(printer.visible(f"{key}={value}"))
    return exits.DONE


COMMANDS = {
    "label": Command(
        "Adds labels to a job, or changes them, and prints those that it has then.",
        "  cucmctl label 3f2a case=698123456\n  cucmctl label 3f2a site=",
        _arguments,
        _label,
    )
}
