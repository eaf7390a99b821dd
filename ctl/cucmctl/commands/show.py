"""`status` and `list`: what jobs there are, and how they do.

The one rule of the room: see `commands/__init__.py`.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import get_args

from cucmctl import exits, printer, render
from cucmctl.client import Client
from cucmctl.options import Command, count, job_id
from cucmd.api.structs import DEFAULT_LIMIT, JobStatus, JobSummary

# without a job `status` shows what fits a small terminal; `list` is for more
NEWEST = 10


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job", metavar="JOB", type=job_id, nargs="?", help="an id or its first characters"
    )


def _status(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        if arguments.job is None:
            return _show_list(client.list(limit=NEWEST), as_json=arguments.json)
        job = client.status(arguments.job)
    if arguments.json:
        printer.json_line(job)
        return exits.DONE
    lines = render.job(
        job,
        datetime.now(UTC),
        colour=printer.in_colour(sys.stdout),
        columns=printer.columns(sys.stdout),
        ascii_only=printer.ascii_only(sys.stdout),
    )
    for text in lines:
        printer.line(text)
    return exits.DONE


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    states = get_args(JobStatus)
    parser.add_argument(
        "--status", metavar="S", choices=states, help=f"only these: {', '.join(states)}"
    )
    parser.add_argument(
        "--limit", metavar="N", type=count, help=f"at most N jobs (default: {DEFAULT_LIMIT})"
    )


def _list(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        found = client.list(status=arguments.status, limit=arguments.limit)
    return _show_list(found, as_json=arguments.json, status=arguments.status)


def _show_list(
    found: tuple[JobSummary, ...], *, as_json: bool, status: JobStatus | None = None
) -> int:
    if as_json:
        printer.json_line(found)
    elif not found and status is not None:
        verb = "has" if status in ("succeeded", "failed") else "is"
        printer.note(f"no job {verb} {status}")
    elif not found:
        printer.note("no jobs; to start one: cucmctl start --help")
    else:
        for text in render.jobs(found, colour=printer.in_colour(sys.stdout)):
            printer.line(text)
    return exits.DONE


COMMANDS = {
    "status": Command(
        "Shows a job, node by node; without JOB, the newest jobs.",
        "  cucmctl status\n  cucmctl status 3f2a\n  cucmctl --json status 3f2a | jq .nodes",
        _status_arguments,
        _status,
    ),
    "list": Command(
        "Lists jobs, newest first.",
        "  cucmctl list --status running\n  cucmctl list --limit 100 --json",
        _list_arguments,
        _list,
    ),
}
