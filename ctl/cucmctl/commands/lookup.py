"""Looks up, before anybody is asked for a password, whether the names mean what was meant.

A daemon that does not know the calls, or cannot answer them now, is not asked again: it says by
itself what it does not take.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from cucmctl.cli import printer
from cucmctl.cli.options import PARTS, near
from cucmctl.client.client import Client
from cucmctl.client.cluster import shorten_list
from cucmctl.client.errors import (
    JobNotFound,
    MethodNotFound,
    NotPermitted,
    Refused,
    StorageFailed,
    UnknownTarget,
)
from cucmctl.text import job_list
from cucmctl.text.kind_text import text_of
from cucmd.protocol.jobs import JobSummary
from cucmd.protocol.knowledge import Cluster, Credential, Profile
from cucmd.protocol.requests import ListRequest


def hint(name: str, known: Iterable[str]) -> str:
    """Ends a message: with `; did you mean berlin?`, or which names there are, or nothing."""
    names = sorted(known)
    if alike := near(name, names):
        return f"; did you mean {' or '.join(alike)}?"
    if not names or len(", ".join(names)) > 200:
        return ""
    return f"; there are {', '.join(names)}"


_CANNOT_ANSWER = (MethodNotFound, NotPermitted, StorageFailed)


def resolve_last(arguments: argparse.Namespace) -> None:
    """Puts the id of the newest job of this user in place of `@last`. Raises `JobNotFound`."""
    with Client(arguments.socket) as client:
        job = _newest(client)
    said = " ".join(filter(None, (job.kind, text_of(job).summarize(job))))
    created = job_list.moment(job.created_at, datetime.now(UTC))
    printer.note(f"@last is job {job.job_id}: {said}, {created}")
    for name in ("job", "jobs"):
        given = getattr(arguments, name, None)
        if isinstance(given, list):
            setattr(arguments, name, [job.job_id if one == "@last" else one for one in given])
        elif given == "@last":
            arguments.job = job.job_id


def _newest(client: Client) -> JobSummary:
    request = ListRequest()
    while (reply := client.list_page(request)).jobs:
        for job in reply.jobs:
            if job.owner == os.getuid():
                return job
        request = ListRequest(before=reply.jobs[-1].job_id)
    raise JobNotFound.of("@last")


def check_known(
    name: str | None,
    ask: Callable[[], Iterable[Profile | Credential]],
    unknown: type[Refused],
) -> None:
    """Raises `unknown` with the names that are near. `ask` gives what the daemon has."""
    if name is None:
        return
    with suppress(*_CANNOT_ANSWER):
        known = [one.name for one in ask()]
        if name not in known:
            error = unknown.of(name)
            error.hint = hint(name, known)
            raise error


def check_names(client: Client, names: Iterable[str]) -> dict[str, Cluster]:
    """Returns the clusters of the configuration, by name. Says what a person may have meant by a
    name that is like one of them; raises `UnknownTarget` if it cannot be a host, or is no part of a
    cluster.

    `names`: without the part that was meant of a cluster, see `base_of`.
    """
    clusters: Iterable[Cluster] = ()
    with suppress(*_CANNOT_ANSWER):
        clusters = client.clusters()
    by_name = {cluster.name: cluster for cluster in clusters if cluster.name is not None}
    for name in names:
        if name in by_name:
            continue
        cluster, colon, part = name.partition(":")
        if colon and cluster in by_name and not part.isdecimal():  # with a port it is a host
            if part in PARTS:
                one = f"one node is to be named here; give {cluster} or a host"
                raise UnknownTarget(f"{name!r}: {one}")
            raise UnknownTarget(f"{name!r}: a cluster has no such part{hint(part, PARTS)}")
        alike = near(name, by_name)
        if not alike or client.clusters(name):  # many nodes have names like that of their cluster
            continue
        meant = f"did you mean {' or '.join(alike)}?"
        try:  # this may take as long as a name server that does not answer
            socket.getaddrinfo(name.partition(":")[0], None)
        except (OSError, UnicodeError):
            text = f"{name!r} is no cluster, and no host has an address by it; {meant}"
            raise UnknownTarget(text) from None
        printer.note(f"{name!r} is taken for a host; {meant}")
    return by_name


def only_publishers(client: Client, names: Sequence[str], verb: str = "start") -> list[str]:
    """Returns those of the targets that are clusters of which only the publisher is configured, and
    more than that is meant.

    `verb`: what was typed before. Says what `check_names` does, and raises it; of a node, how many
    others its cluster has; of a cluster with nodes, how many it has named beside these, which of
    these were not authenticated then, and whether it is known which of them are subscribers.
    """
    bases = list(dict.fromkeys(base_of(name) for name in names))
    by_name = check_names(client, bases)
    if len(names) == 1 and names[0] not in by_name:
        with suppress(*_CANNOT_ANSWER):
            for cluster in client.clusters(names[0])[:1]:
                if (others := cluster.nodes_total - 1) > 0:
                    node = "node" if others == 1 else "nodes"
                    whole = cluster.name or f"--cluster-of {cluster.asked}"
                    printer.note(
                        f"{names[0]} has {others} other {node} in its cluster; "
                        f"for all of them: cucmctl {verb} {whole}"
                    )
    asked = []
    for base in bases:
        of_publisher = all(name == f"{base}:publisher" for name in names if base_of(name) == base)
        if base not in by_name or of_publisher:
            continue
        cluster = by_name[base]
        if cluster.nodes_configured == 1 and cluster.publisher is not None:
            asked.append(base)
            continue
        _say_what_is_left_out(client, base, cluster)
        if f"{base}:subscribers" in names and cluster.discovered_at is None:
            known = "all but its publisher" if cluster.publisher else "all of its nodes"
            printer.note(
                f"{base}:subscribers: {known}, for which of them are subscribers is not known; "
                "ask first: cucmctl discover"
            )
    return asked


def base_of(name: str) -> str:
    """Returns the cluster in `NAME:publisher`; else the name itself."""
    base, _, part = name.rpartition(":")
    return base if part in PARTS else name


def _say_what_is_left_out(client: Client, name: str, cluster: Cluster) -> None:
    """Says how many nodes the cluster has named that the configuration has not; and which of the
    others were not authenticated, as of when the cluster was asked last: that may be long ago.
    """
    if (left_out := cluster.nodes_total - cluster.nodes_configured) > 0:
        node = "node is" if left_out == 1 else "nodes are"
        printer.note(
            f"{left_out} {node} left out, which {name} has named and the configuration has not: "
            f"cucmctl clusters {name}"
        )
    if cluster.discovered_at is None:
        return
    found: Sequence[Cluster] = ()
    with suppress(*_CANNOT_ANSWER):
        found = client.clusters(name)
    nodes = [one for whole in found if whole.name == name for one in whole.nodes or ()]
    apart = [
        one.node for one in nodes if one.configured and one.member and one.member.unauthenticated
    ]
    if apart:
        printer.note(
            f"not authenticated when {cluster.asked} was asked at "
            f"{cluster.discovered_at:%Y-%m-%d %H:%M} UTC: {shorten_list(apart)}; "
            f"down, or new? cucmctl discover {name}"
        )
