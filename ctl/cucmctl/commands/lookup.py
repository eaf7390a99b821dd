"""Checks that the names on the command line exist, before anybody is asked for a password.

If the daemon does not know these calls, or cannot answer them, the checks are skipped: the daemon
itself refuses a wrong name.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from cucmctl.cli import printer, terminal
from cucmctl.cli.options import PARTS, near
from cucmctl.client.client import Client
from cucmctl.client.cluster import shorten_list
from cucmctl.client.errors import (
    CredentialNotFound,
    JobNotFound,
    MethodNotFound,
    NotAtHub,
    Refused,
    StorageFailed,
    UnknownTarget,
)
from cucmctl.text import job_list
from cucmctl.text.kind_text import text_of
from cucmd.job.work import KINDS, kind_of
from cucmd.paths import SYSTEM_SOCKET
from cucmd.protocol.jobs import JobSummary
from cucmd.protocol.knowledge import Cluster, Credential, Profile
from cucmd.protocol.requests import ListRequest


def hint(name: str, known: Iterable[str]) -> str:
    """Returns the end of a message: `; did you mean berlin?`, a list of all names, or ""."""
    names = sorted(known)
    if alike := near(name, names):
        return f"; did you mean {' or '.join(alike)}?"
    if not names or len(", ".join(names)) > 200:
        return ""
    return f"; there are {', '.join(names)}"


_CANNOT_ANSWER = (MethodNotFound, NotAtHub, StorageFailed)


# Kinds of jobs that are done for something else than files.
_WITHOUT_FILES = frozenset(kind_of(kind) for kind in KINDS if not kind.keeps_files)


def keeps_files(job: JobSummary) -> bool:
    """Returns whether jobs of this kind are done for their files. Is true for unknown kinds."""
    return job.kind not in _WITHOUT_FILES


def resolve_last(
    arguments: argparse.Namespace, verb: str, is_for: Callable[[JobSummary], bool], uid: int
) -> None:
    """Replaces `@last` by the id of the newest job of the user `uid` that `is_for` the verb.

    Prints which job this is. Raises `JobNotFound`.
    """
    with Client(arguments.socket) as client:
        job = newest(client, is_for, uid)
    if job is None:
        error = JobNotFound.make("@last")
        error.hint = f"; you have started no job that {verb} can be used for"
        raise error
    what = " ".join(filter(None, (job.kind, text_of(job).summarize(job))))
    created = job_list.moment(job.created_at, datetime.now(UTC))
    printer.note(f"@last is job {job.job_id}: {what}, {created}")
    for name in ("job", "jobs"):
        value = getattr(arguments, name, None)
        if isinstance(value, list):
            setattr(arguments, name, [job.job_id if word == "@last" else word for word in value])
        elif value == "@last":
            arguments.job = job.job_id


def newest(client: Client, is_for: Callable[[JobSummary], bool], uid: int) -> JobSummary | None:
    """Returns the newest job of a user that `is_for` the verb."""
    request = ListRequest()
    while (reply := client.list_page(request)).jobs:
        for job in reply.jobs:
            if job.owner == uid and is_for(job):
                return job
        request = ListRequest(before=reply.jobs[-1].job_id)
    return None


def check_known(
    name: str | None,
    ask: Callable[[], Iterable[Profile | Credential]],
    unknown: type[Refused],
) -> None:
    """Raises `unknown`, with similar names, if `ask` does not return the name."""
    with suppress(*_CANNOT_ANSWER):
        known = [item.name for item in ask()]
        if name is not None and name not in known:
            error = unknown.make(name)
            error.hint = hint(name, known)
            raise error


def check_operator(client: Client, credential: str | None = None) -> set[str]:
    """Returns the users on nodes whose logins are kept, see `cucmctl login`.

    Only operators may see the credentials, so a user who may not start or delete anything is
    refused here, and not after a question. Raises `NotPermitted`, and `CredentialNotFound`.
    """
    users: set[str] = set()

    def ask() -> Iterable[Credential]:
        reply = client.all_logins()
        users.update(login.username for login in reply.logins or ())
        return reply.credentials

    check_known(credential, ask, CredentialNotFound)
    return users


def offer(client: Client, text: str) -> str:
    """Returns the text, or "" if this user may not start and end jobs, and so need not be told how.

    The socket belongs to the group of the operators, but members of the view group may open it too.
    If the group says nothing, the text is returned, and a call shows what the user may do.
    """
    try:
        status = os.stat(client.socket)
    except OSError:
        return text
    operators = status.st_gid if status.st_mode & stat.S_IWGRP else 0
    known = operators and os.geteuid() not in (0, status.st_uid)
    return "" if known and operators not in {os.getegid(), *os.getgroups()} else text


def note_own_daemon(client: Client, service: str = SYSTEM_SOCKET) -> None:
    """Prints that the answers are those of the user's own daemon, if the service is there too.

    A person who once typed `cucmd &` may look for the jobs of the service. service: its socket.
    """
    if not client.chosen and client.socket != service and os.path.exists(service):
        own = f"this is your own daemon, at {client.socket}"
        printer.note(f"{own}; the service cucmd is at --socket {service}")


def check_names(client: Client, names: Iterable[str]) -> dict[str, Cluster]:
    """Returns the clusters of the configuration by name, and checks `names` against them.

    If a name resembles a cluster but may be a host, asks what is meant; without a terminal prints a
    message. Raises `UnknownTarget` if the host is not meant, if there is no such host, and for an
    unknown part of a cluster.

    names  targets without the part of a cluster, see `base_of`
    """
    clusters: Iterable[Cluster] = ()
    with suppress(*_CANNOT_ANSWER):
        clusters = client.clusters()
    by_name = {cluster.name: cluster for cluster in clusters if cluster.name is not None}
    for name in names:
        if name in by_name:
            continue
        cluster, colon, part = name.partition(":")
        if colon and cluster in by_name and not part.isdecimal():  # NAME:22 would be a host
            if part in PARTS:
                raise UnknownTarget(f"{name!r}: expected one node; give {cluster} or a host")
            raise UnknownTarget(f"{name!r}: a cluster has no such part{hint(part, PARTS)}")
        alike = near(name, by_name)
        if not alike or client.clusters(name):  # nodes are often named after their cluster
            continue
        _check_host(name, by_name)
        meant = f"did you mean {' or '.join(alike)}?"
        if sys.stdin is not None and sys.stdin.isatty():
            question = f"{name!r} is no cluster, but the name of a host; {meant} Use the host?"
            with suppress(OSError):  # another terminal controls this process
                if not terminal.says_yes(printer.visible(question)):
                    raise UnknownTarget(f"{name!r} is no cluster; {meant}")
                continue
        printer.note(f"{name!r} is used as the name of a host; {meant}")
    return by_name


def find_nodes(
    client: Client, names: Iterable[str], look_up: Callable[..., object] = socket.getaddrinfo
) -> list[str]:
    """Returns the targets, with the node in place of a host name that only its cluster knows.

    Such a name was told by a node, and no node may decide where a password goes. So a host that has
    the name comes first, and a message shows the node before the password is asked for. Raises
    `UnknownTarget` if several nodes have the name, or if the name server does not answer: then
    nobody knows whether such a host exists, and the message says what to type instead.
    """
    return [_find_node(client, name, look_up) for name in names]


def _find_node(client: Client, name: str, look_up: Callable[..., object]) -> str:
    clusters: Sequence[Cluster] = ()
    if not re.search("[.:@]", name):
        with suppress(*_CANNOT_ANSWER):
            clusters = client.clusters(name)
    asked = {
        node.node: cluster.asked
        for cluster in clusters
        for node in cluster.nodes or ()
        if node.member is not None and node.member.name.lower() == name.lower()
    }
    if not asked or name in asked or any(name == cluster.name for cluster in clusters):
        return name
    try:
        look_up(name, None)
    except socket.gaierror as error:
        silent = error.errno not in (socket.EAI_NONAME, socket.EAI_NODATA)
    except UnicodeError:  # a part of the name is longer than the 63 characters of a host name
        silent = False
    else:
        return name
    if len(asked) > 1:
        raise UnknownTarget(f"{name!r} fits several nodes; give one of them: {', '.join(asked)}")
    ((node, by),) = asked.items()
    if silent:
        raise UnknownTarget(
            f"{name!r}: the name server does not answer, so a host of that name may exist; "
            f"give {node}, which {by} has named so, or {name}:22 for the host"
        )
    printer.note(f"{name} is {node}, as {by} has named it")
    return node


def check_exist(client: Client, names: Iterable[str]) -> None:
    """Raises `UnknownTarget` for a name that is no cluster, no known node and no host."""
    with suppress(*_CANNOT_ANSWER):
        clusters = {cluster.name for cluster in client.clusters() if cluster.name is not None}
        for name in names:
            if base_of(name) not in clusters and not client.clusters(name):
                _check_host(name, clusters)


def _check_host(name: str, clusters: Iterable[str]) -> None:
    if name.count(":") > 1:  # an IPv6 address
        return
    try:  # this may take long if a name server does not answer
        socket.getaddrinfo(name.partition(":")[0], None)
    except (OSError, UnicodeError):
        text = f"{name!r} is no cluster, and no host has that name{hint(name, clusters)}"
        raise UnknownTarget(text) from None


def only_publishers(client: Client, names: Sequence[str], verb: str = "start") -> list[str]:
    """Returns the clusters among the targets whose publishers must be asked for the other nodes.

    These have only a publisher in the configuration. A target that means only the publisher itself
    is not included. Raises and prints what `check_names` does. Also prints:

    for a single node                      how many other nodes its cluster has
    for a cluster with configured nodes    how many of its nodes are not configured, which of the
                                           configured ones were not authenticated, and whether its
                                           subscribers are known

    verb  the verb that was typed, for these messages
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
                f"{base}:subscribers: which nodes are subscribers is not known, so the job runs on "
                f"{known}; ask first: cucmctl discover"
            )
    return asked


def base_of(name: str) -> str:
    """Returns the cluster in `NAME:publisher`, or else the name itself."""
    base, _, part = name.rpartition(":")
    return base if part in PARTS else name


def _say_what_is_left_out(client: Client, name: str, cluster: Cluster) -> None:
    """Prints how many nodes of the cluster are not configured, and which are not authenticated.

    Whether a node is authenticated is known from the last discovery, which may be long ago.
    """
    if (left_out := cluster.nodes_total - cluster.nodes_configured) > 0:
        are = f"node of {name} is" if left_out == 1 else f"nodes of {name} are"
        printer.note(
            f"{left_out} {are} not in the configuration, and left out: cucmctl clusters {name}"
        )
    if cluster.discovered_at is None:
        return
    found: Sequence[Cluster] = ()
    with suppress(*_CANNOT_ANSWER):
        found = client.clusters(name)
    nodes = [node for whole in found if whole.name == name for node in whole.nodes or ()]
    unauthenticated = [
        node.full_name
        for node in nodes
        if node.configured and node.member and node.member.unauthenticated
    ]
    if unauthenticated:
        printer.note(
            f"not authenticated when {cluster.asked} was asked at "
            f"{cluster.discovered_at:%Y-%m-%d %H:%M} UTC: {shorten_list(unauthenticated)}; "
            f"down, or new? cucmctl discover {name}"
        )
