"""`status` and `list`: print jobs and their states.

A list of the newest jobs may not include every running job, so older ones are requested too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import get_args

import msgspec

from cucmctl.cli import exits, printer
from cucmctl.cli.options import (
    UsageError,
    Verb,
    VerbParser,
    add_job,
    add_label,
    count,
    labels_of,
)
from cucmctl.cli.typed_times import moment, rfc3339
from cucmctl.client.client import Client
from cucmctl.client.methods import MOST_LISTED, UNFINISHED
from cucmctl.commands.lookup import note_own_daemon, offer
from cucmctl.text import job_list, long_text, render
from cucmctl.text.kind_text import text_of
from cucmctl.text.window import window
from cucmd.job.status import JobStatus
from cucmd.job.work import KINDS, kind_of
from cucmd.protocol.jobs import JobSummary
from cucmd.protocol.requests import DEFAULT_LIMIT, ListRequest

# How many jobs `status` shows if no job id is given. So many lines fit on a small terminal.
NEWEST = 10
# Kinds of jobs that a list leaves out, because they only prepare other jobs.
PREPARATIONS = frozenset(kind_of(kind) for kind in KINDS if kind.prepares)
_EVERY_JOB = ListRequest()


def unfinished_older_than(
    client: Client, newest: Sequence[JobSummary], limit: int
) -> list[JobSummary]:
    """Returns jobs that have not ended and are not in `newest`, a list of at most `limit` jobs."""
    if len(newest) < limit:  # the list already has all jobs
        return []
    # "queued" before "running": a job that starts between the calls is in both replies.
    found = {
        job.job_id: job
        for status in UNFINISHED
        for job in client.list(status=status, limit=MOST_LISTED)
    }
    shown = {job.job_id for job in newest}
    rest = (job for job in found.values() if job.job_id not in shown)
    return sorted(rest, key=lambda job: job.created_at, reverse=True)


def _status_arguments(parser: VerbParser) -> None:
    add_job(parser, nargs="?")
    parser.add_argument(
        "--long",
        action="store_true",
        help="also when the phases of each node began, and what each of its logs covers",
    )


def _status(arguments: argparse.Namespace) -> int:
    if arguments.long and arguments.job is None:
        raise UsageError("--long: needs a JOB")
    with Client(arguments.socket) as client:
        if arguments.job is None:
            newest = client.list(limit=NEWEST)
            jobs = [*newest, *unfinished_older_than(client, newest, NEWEST)]
            return _show_list(jobs, client, as_json=arguments.json)
        job = client.status(arguments.job)
    layout = printer.layout(sys.stdout)
    may_operate = bool(offer(client, "retry"))
    lines = render.show_job(job, datetime.now(UTC), may_operate=may_operate, **layout)
    if arguments.long:
        lines = chain(lines, long_text.details(job, columns=layout["columns"]))
    seen = render.first_in_view(lines, printer.rows(sys.stdout), layout["columns"])
    return printer.show(text_of(job).complete(job), seen, as_json=arguments.json)


def _list_arguments(parser: VerbParser) -> None:
    states = get_args(JobStatus)
    parser.add_argument(
        "--status", metavar="S", choices=states, help=f"only this status: {', '.join(states)}"
    )
    add_label(parser, "only jobs with this label")
    parser.add_argument(
        "--kind", metavar="KIND", help=f"only jobs of this kind: {', '.join(map(kind_of, KINDS))}"
    )
    parser.add_argument(
        *("--target", "--node"),
        metavar="NAME",
        help="only jobs for this cluster, or with this node",
    )
    parser.add_argument(
        "--since", metavar="T", type=moment, help="only jobs created at T or later; T as for start"
    )
    how_many = parser.add_mutually_exclusive_group()
    help_ = f"at most N jobs (default: {DEFAULT_LIMIT}, and all that have not ended)"
    how_many.add_argument("--limit", metavar="N", type=count, help=help_)
    how_many.add_argument(
        "--all", action="store_true", help="all jobs, including checks and discoveries"
    )


def _list(arguments: argparse.Namespace) -> int:
    limit = arguments.limit
    if arguments.all or (limit is None and arguments.status in UNFINISHED):
        limit = MOST_LISTED
    request = ListRequest(
        status=arguments.status,
        limit=limit,
        labels=labels_of("--label", arguments.label) or None,
        target=arguments.target,
        since=rfc3339(arguments.since.earliest) if arguments.since else None,
        kind=arguments.kind,
    )
    if request.since is not None:
        printer.note(f"created from {window(request.since, None)}")
    with Client(arguments.socket) as client:
        found, left, passed_over = _collect_pages(client, request, arguments)
        if request == ListRequest():
            unfinished = unfinished_older_than(client, found, DEFAULT_LIMIT)
            found, left = [*found, *unfinished], left - len(unfinished)
        _show_list(found, client, as_json=arguments.json, request=request)
        # Jobs that have not ended, and that --limit leaves out if there are no other options.
        hidden: Sequence[JobSummary] = ()
        plain = limit not in (None, MOST_LISTED) and request == ListRequest(limit=limit)
        if plain and not arguments.json:
            hidden = unfinished_older_than(client, found, limit)
    if hidden:
        states = {job.status for job in hidden}
        see = " and ".join(
            f"cucmctl list --status {state}" for state in UNFINISHED if state in states
        )
        have = "1 older job has" if len(hidden) == 1 else f"{len(hidden)} older jobs have"
        printer.note(f"{have} not ended; to see: {see}")
    elif left > 0 and not arguments.json:
        printer.note(f"{left} older jobs are not shown: cucmctl list --all, or --limit N")
    if passed_over:
        printer.note(f"checks and discoveries are not shown ({passed_over}): cucmctl list --all")
    return exits.DONE


def _collect_pages(
    client: Client, request: ListRequest, arguments: argparse.Namespace
) -> tuple[list[JobSummary], int, int]:
    """Returns (jobs to show, number of older jobs, number of jobs that were passed over)."""
    everything = arguments.all or arguments.json or arguments.kind is not None
    limit = request.limit or DEFAULT_LIMIT
    found: list[JobSummary] = []
    passed_over = 0
    while True:
        reply = client.list_page(request)
        chosen = [job for job in reply.jobs if everything or job.kind not in PREPARATIONS]
        passed_over += len(reply.jobs) - len(chosen)
        found, left = [*found, *chosen], reply.older or 0
        whole = arguments.all or len(chosen) < len(reply.jobs)
        if not left or not whole or (len(found) >= limit and not arguments.all):
            break
        request = msgspec.structs.replace(request, before=reply.jobs[-1].job_id)
    if passed_over and not arguments.all:
        left, found = left + len(found[limit:]), found[:limit]
    return found, left, passed_over


def _show_list(
    found: Sequence[JobSummary],
    client: Client,
    *,
    as_json: bool,
    request: ListRequest = _EVERY_JOB,
) -> int:
    note_own_daemon(client)
    lines = job_list.jobs(found, datetime.now(UTC), **printer.layout(sys.stdout))
    none = f"no jobs{offer(client, '; to start one: cucmctl start --help')}"
    if request.labels or request.target or request.since:
        none = "no job fits; without options cucmctl list shows the newest"
    elif request.status is not None:
        verb = "has" if request.status in ("succeeded", "failed") else "is"
        none = f"no job {verb} {request.status}"
    return printer.show(found, lines, as_json=as_json, none=none)


COMMANDS = {
    "status": Verb(
        "Shows a job, node by node. Without JOB: the newest jobs, and all that have not\nended.",
        "  cucmctl status 3f2a --long\n  cucmctl --json status 3f2a | jq .nodes",
        "0 done, however the job ended",
        _status_arguments,
        _status,
    ),
    "list": Verb(
        "Lists the newest jobs, and all older jobs that have not ended. With --limit N, lists\n"
        "only the newest N. Checks and discoveries are included with --all, --kind or --json.",
        "  cucmctl list --label case=698123456\n"
        "  cucmctl list --target berlin --since '2026-11-25 09:00' --limit 100 --json",
        "0 done",
        _list_arguments,
        _list,
    ),
}
