"""`status` and `list`: jobs and their states.

The one rule: see `commands/__init__.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

from cucmctl import exits, printer, render
from cucmctl.client import Client
from cucmctl.options import Command, count, job_id
from cucmctl.unfinished import MOST, UNFINISHED, older
from cucmd.api.structs import DEFAULT_LIMIT, JobStatus, JobSummary

# how many jobs `status` shows without a job: they fit a small terminal
NEWEST = 10


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job", metavar="JOB", type=job_id, nargs="?", help="an id or its first characters"
    )


def _status(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        if arguments.job is None:
            newest = client.list(limit=NEWEST)
            jobs = [*newest, *older(client, newest, NEWEST)]
            return _show_list(jobs, as_json=arguments.json)
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
    size = printer.rows(sys.stdout), printer.columns(sys.stdout)
    for text in render.first_in_view(lines, *size):
        printer.line(text)
    return exits.DONE


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    states = get_args(JobStatus)
    parser.add_argument(
        "--status", metavar="S", choices=states, help=f"only these: {', '.join(states)}"
    )
    help_ = f"at most N jobs (default: {DEFAULT_LIMIT}, and all that have not ended)"
    parser.add_argument("--limit", metavar="N", type=count, help=help_)


def _list(arguments: argparse.Namespace) -> int:
    status, limit = arguments.status, arguments.limit
    if limit is None and status in UNFINISHED:
        limit = MOST
    with Client(arguments.socket) as client:
        found = client.list(status=status, limit=limit)
        if status is not None:
            return _show_list(found, as_json=arguments.json, status=status)
        if limit is None:
            rest = older(client, found, DEFAULT_LIMIT)
            return _show_list([*found, *rest], as_json=arguments.json)
        _show_list(found, as_json=arguments.json)
        if not arguments.json and (rest := older(client, found, limit)):
            printer.note(_left_out(rest))
    return exits.DONE


def _left_out(rest: Sequence[JobSummary]) -> str:
    states = {job.status for job in rest}
    see = " and ".join(f"cucmctl list --status {one}" for one in UNFINISHED if one in states)
    count = "1 older job has" if len(rest) == 1 else f"{len(rest)} older jobs have"
    return f"{count} not ended; to see: {see}"


def _show_list(
    found: Sequence[JobSummary], *, as_json: bool, status: JobStatus | None = None
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
        "Shows a job, node by node. Without JOB: the newest jobs, and all that have not\nended.",
        "  cucmctl status\n  cucmctl status 3f2a\n  cucmctl --json status 3f2a | jq .nodes",
        _status_arguments,
        _status,
    ),
    "list": Command(
        "Lists jobs, newest first, with all older ones that have not ended, unless a\n"
        "--limit is given.",
        "  cucmctl list --status running\n  cucmctl list --limit 100 --json",
        _list_arguments,
        _list,
    ),
}
