"""Asks clusters for their nodes before a job is started on them. Several verbs share it.

What is said about nodes goes to standard error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cucmctl.cli import printer
from cucmctl.cli.options import Once, UsageError
from cucmctl.client.client import Client
from cucmctl.client.cluster import discover_first
from cucmctl.client.reconnect import watch
from cucmctl.commands import lookup
from cucmctl.commands.follow import report_job_goes_on
from cucmctl.text.views import View
from cucmd.job.asked import Login, Timeouts
from cucmd.protocol.jobs import Job


class AskingInterrupted(KeyboardInterrupt):
    """Ctrl-C while a cluster is asked for its nodes. What goes on was said; nothing has begun."""


def add_cluster_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster-of",
        metavar="NODE",
        action=Once,
        help="ask this node, such as the publisher, for the nodes of its cluster; on all of them",
    )


def check_targets(arguments: argparse.Namespace, missing: str) -> None:
    """`missing`: what is said where nothing is named. Raises `UsageError`."""
    if arguments.nodes and arguments.cluster_of is not None:
        raise UsageError("--cluster-of: stands in place of the nodes; give one of them")
    if not arguments.nodes and arguments.cluster_of is None:
        raise UsageError(f"the following arguments are required: {missing}")


def targets_of(
    client: Client, arguments: argparse.Namespace, verb: str
) -> tuple[list[str], list[str]]:
    """(the names to start on, those of them that are asked for their nodes first)."""
    if arguments.cluster_of is not None:
        lookup.check_names(client, [arguments.cluster_of])
        return [arguments.cluster_of], [arguments.cluster_of]
    return arguments.nodes, lookup.only_publishers(client, arguments.nodes, verb)


def ask_first(
    client: Client,
    names: Sequence[str],
    login: Login,
    timeouts: Timeouts | None,
    *,
    reconnect: float,
) -> None:
    """Asks each of these clusters, one after the other.

    `reconnect`: seconds within which a daemon that goes away meanwhile must be back.
    Raises as `discover_first` does, and `AskingInterrupted`.
    """
    for name in names:
        discover_first(
            client,
            name,
            login=login,
            timeouts=timeouts,
            tell=printer.note,
            wait=lambda job: _wait(client, job, reconnect),
        )


def _wait(client: Client, begun: Job, reconnect: float) -> Job:
    """The discovery once it has ended, also after a restart of the daemon."""
    job = begun
    printer.note(f"job {job.job_id} asks {job.nodes[0].node} for the nodes of its cluster")
    try:
        for change in watch(client, job.job_id, View(), reconnect=reconnect, known=True):
            job = change.job or job
    except KeyboardInterrupt:
        report_job_goes_on(job, job.job_id)
        raise AskingInterrupted from None
    return job
