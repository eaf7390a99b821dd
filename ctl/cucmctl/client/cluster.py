"""Asks a cluster for its nodes before a job is started on them.

If a node refuses the login, the login is not tried again, and no job is started.

    result of the discovery     what follows
    it succeeds                 the job is started on the nodes that were found
    the node does not answer    the job is started on the nodes of the last discovery, if there is
                                one; a message gives its time
    it fails in another way     `DiscoveryFailed` is raised
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cucmctl.client.errors import DiscoveryFailed
from cucmd.job.work_request import How, Login, Timeouts
from cucmd.protocol.jobs import Job
from cucmd.protocol.knowledge import Cluster

# Failure codes of nodes that did not answer, or did not answer in time. After these, the nodes of
# the last discovery are used.
NO_ANSWER = frozenset(
    {"connect_timeout", "connection_refused", "connection_lost", "host_unreachable"}
    | {"login_timeout", "command_timeout", "node_timeout", "job_timeout"}
)
MOST_NAMED = 5

Tell = Callable[[str], None]


class ClusterClient(Protocol):
    """Declares the methods of `Client` that are used here. `Client` itself imports this module."""

    def discover(self, publisher: str, *, login: Login, how: How | None = None) -> Job: ...

    def wait(self, job_id: str) -> Job: ...

    def clusters(self, name: str | None = None) -> tuple[Cluster, ...]: ...


def discover_first(
    client: ClusterClient,
    name: str,
    *,
    login: Login,
    timeouts: Timeouts | None = None,
    tell: Tell = lambda text: None,
    wait: Callable[[Job], Job] | None = None,
) -> None:
    """Asks the cluster or node `name` for its nodes. Afterwards a job can be started on them.

    timeouts  timeouts of the job; the discovery uses those for connecting, login and answers
    tell      is called with messages for people: nodes that are new or gone, a node that did not
              answer, and the notes of the discovery, such as nodes that were left out
    wait      waits for the end of the discovery; `client.wait` if None

    Raises `DiscoveryFailed`, and what `discover` and `wait` raise.
    """
    # Read this before the discovery, which replaces it. It is needed if the discovery fails.
    before, own = last_discovery(client, name), None
    if timeouts is not None:
        own = Timeouts(connect=timeouts.connect, login=timeouts.login, answer=timeouts.answer)
    how = How(timeouts=None if own == Timeouts() else own)
    begun = client.discover(name, login=login, how=how)
    job = client.wait(begun.job_id) if wait is None else wait(begun)
    if job.status == "succeeded":
        after = last_discovery(client, name)
        for note in job.nodes[0].notes:
            tell(f"{job.nodes[0].full_name}: {note}")
        for text in describe_changes(before, after):
            tell(text)
        return
    failure = job.nodes[0].failure
    if failure is None or failure.code not in NO_ANSWER or before is None:
        raise DiscoveryFailed(job)
    at = f"{before.discovered_at:%Y-%m-%d %H:%M} UTC"
    tell(
        f"{job.nodes[0].full_name} does not answer ({failure.code}); "
        f"using the nodes of {name} as they were named at {at}"
    )


def last_discovery(client: ClusterClient, name: str) -> Cluster | None:
    """Returns a cluster with the nodes of its last discovery; `name` is a cluster or a node.

    Returns None if nobody has asked the cluster yet.
    """
    clusters = [cluster for cluster in client.clusters(name) if cluster.discovered_at is not None]
    # The name of a cluster goes first. A node may have the same name, and be asked by it.
    named = [cluster for cluster in clusters if cluster.name == name]
    asked = [cluster for cluster in clusters if _spelled(cluster.asked or "") == _spelled(name)]
    return next(iter(named or asked), None)


def _spelled(node: str) -> str:
    return node.lower().removesuffix(":22").removesuffix(".")


def describe_changes(before: Cluster | None, after: Cluster | None) -> list[str]:
    """Returns a line about the nodes that are new, and a line about those that are gone."""
    if before is None or after is None:
        return []
    then, now = _named(before), _named(after)
    return [
        f"{what} since {before.discovered_at:%Y-%m-%d %H:%M} UTC: {shorten_list(names)}"
        for what, names in (
            ("new", [name for node, name in now.items() if node not in then]),
            ("gone", [name for node, name in then.items() if node not in now]),
        )
        if names
    ]


def _named(cluster: Cluster) -> dict[str, str]:
    """Returns node -> full name of the nodes that the cluster has named."""
    return {node.node: node.full_name for node in cluster.nodes or () if node.member is not None}


def shorten_list(nodes: Sequence[str]) -> str:
    """Returns the first few nodes, followed by `and N more`."""
    more = len(nodes) - MOST_NAMED
    return ", ".join(nodes[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
