"""What follows `start --dry-run`: waits for the sizes, and prints them.

Standard output has the sizes and nothing else.
"""

from __future__ import annotations

import argparse
import sys

from cucmctl.cli import printer
from cucmctl.client.client import Client
from cucmctl.commands.follow import follow
from cucmctl.text import render
from cucmctl.text.remarks import remarks
from cucmctl.text.views import Silent
from cucmd.protocol.jobs import Job


def stay(client: Client, job: Job, arguments: argparse.Namespace) -> int:
    printer.note(f"job {job.job_id} asks for sizes; nothing is collected")
    return follow(
        client, job.job_id, lambda: Sized(arguments), reconnect=arguments.reconnect, begun=job
    )


class Sized(Silent):
    """Shows the sizes at the end; what is to be said beside them, on standard error."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__(sys.stdout, as_json=arguments.json)

    def conclude(self, job: Job) -> None:
        for text in remarks(job.nodes):
            printer.note(text)
        if self._json:
            printer.json_line(job)
            return
        for text in render.sizes(job, **printer.layout(sys.stdout)):
            printer.line(text)
