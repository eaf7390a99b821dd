"""`discover`: asks a node which nodes its cluster has, and waits for the answer.

Standard output has only the nodes that were found.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from cucmctl.cli import exits, printer
from cucmctl.cli.options import OnlyOnce, UsageError, Verb, VerbParser, add_label, labels_of
from cucmctl.client.client import Client
from cucmctl.client.cluster import describe_changes, last_discovery
from cucmctl.client.errors import (
    DaemonUnavailable,
    InvalidRequest,
    MethodNotFound,
    NotPermitted,
    ShuttingDown,
    StorageFailed,
)
from cucmctl.commands import lookup
from cucmctl.commands.begin import (
    LABEL_HELP,
    add_login_options,
    add_timeouts,
    and_follow,
    begin,
    check_user,
    login_of,
    timeouts_of,
)
from cucmctl.commands.watch import add_reconnect
from cucmctl.text import discover_text
from cucmctl.text.kind_text import lines_of
from cucmctl.text.views import AtTheEnd
from cucmd.job.work_request import How, Login
from cucmd.protocol.jobs import Job
from cucmd.protocol.knowledge import Cluster

TIMEOUTS = {
    "connect": "seconds to reach the node",
    "login": "seconds from the connection to the first prompt",
    "answer": "seconds for each of the two commands",
}
# The names of clusters that the daemon's configuration accepts.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def _arguments(parser: VerbParser) -> None:
    parser.add_argument(
        "publisher", metavar="PUBLISHER", help="a host, host:port, or a cluster with a publisher"
    )
    parser.add_argument(
        "--save",
        metavar="NAME",
        type=_cluster_name,
        action=OnlyOnce,
        help="print a block [clusters.NAME] for the daemon's configuration instead of a table",
    )
    add_login_options(parser)
    how = parser.add_argument_group("how")
    add_timeouts(how, TIMEOUTS)
    add_label(how, LABEL_HELP)
    add_reconnect(how)


def _cluster_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        expected = "expected letters, digits, '-', '_' and '.' (64 at most)"
        raise argparse.ArgumentTypeError(f"{text!r} is not a cluster name; {expected}")
    return text


def _discover(arguments: argparse.Namespace) -> int:
    if arguments.save is not None and arguments.json:
        raise UsageError("--save: cannot be combined with --json, because it prints configuration")
    labels = labels_of("--label", arguments.label)
    check_user(arguments)
    with Client(arguments.socket) as client:
        kept = lookup.check_operator(client, arguments.credential)
        [arguments.publisher] = lookup.find_nodes(client, [arguments.publisher])
        lookup.check_names(client, [arguments.publisher])
        before = _known(client, arguments.publisher)
        return begin(
            client,
            arguments,
            lambda: login_of(arguments, kept),
            lambda login: _ask(
                client,
                arguments.publisher,
                login,
                How(timeouts=timeouts_of(arguments, TIMEOUTS), labels=labels or None),
            ),
            on_start=and_follow(
                lambda job: f"asks {job.nodes[0].full_name}",
                lambda: FoundNodes(client, before, arguments),
            ),
        )


def _ask(client: Client, publisher: str, login: Login, how: How) -> Job:
    """Starts the discovery. An error in the node is reported for the argument PUBLISHER."""
    try:
        return client.discover(publisher, login=login, how=how)
    except InvalidRequest as error:
        if error.parameters.parameter not in ("nodes", "nodes[0]"):
            raise
        raise InvalidRequest.make("publisher", error.parameters.reason) from None


class FoundNodes(AtTheEnd):
    """Prints the nodes, and what has changed since `before`, the last known state."""

    def __init__(
        self, client: Client, before: Cluster | None, arguments: argparse.Namespace
    ) -> None:
        super().__init__(partial(_lines, arguments), as_json=arguments.json)
        self._client = client
        self._before = before
        self._publisher = arguments.publisher

    def conclude(self, job: Job) -> None:
        super().conclude(job)
        if self._before is not None and job.status == "succeeded":
            for text in describe_changes(self._before, _known(self._client, self._publisher)):
                printer.note(text)


def _known(client: Client, name: str) -> Cluster | None:
    """Returns the cluster as `cluster.last_discovery` does, or None if the daemon cannot answer.

    Without an answer the discovery still works; only the message about changes is missing.
    """
    with suppress(MethodNotFound, NotPermitted, StorageFailed, DaemonUnavailable, ShuttingDown):
        return last_discovery(client, name)
    return None


def _lines(arguments: argparse.Namespace, job: Job) -> Iterator[str]:
    """Prints the table; with --save, prints it on standard error and yields the block."""
    name, credential = arguments.save, arguments.credential
    out = sys.stdout if name is None else sys.stderr
    for node in job.nodes:
        if node.found is None or not node.found.members:
            continue
        found = discover_text.members(node.found)
        for text in lines_of(found, **printer.layout(out, colour=name is None)):
            printer.line(text, out)
        if name is not None:
            at = node.completed_at or datetime.now(UTC)
            yield from discover_text.block(
                name, node.node, node.found, credential=credential, at=at
            )
            printer.note("not saved: put this into the daemon's cucmd.toml, then cucmctl reload")


COMMANDS = {
    "discover": Verb(
        "Asks a node which nodes its cluster has, and prints them with role and product.\n"
        "The node runs `show network cluster` and `show version active`. With --save,\n"
        "prints a block for the daemon's configuration.",
        "  cucmctl discover cucm-pub --user administrator\n"
        "  cucmctl discover cucm-pub --credential lab --save berlin >>cucmd.toml",
        exits.ENDED,
        _arguments,
        _discover,
    )
}
