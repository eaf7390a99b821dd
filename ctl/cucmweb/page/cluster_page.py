"""Shows the clusters that are known, and how well their nodes were when they were checked.

The view of all clusters has the last health check of each. The view of one cluster draws what the
health checks that are kept have found.
"""

from __future__ import annotations

from msgspec import Struct

from cucmctl.client import methods
from cucmctl.client.errors import JobNotFound
from cucmd.protocol.jobs import Job, JobSummary
from cucmd.protocol.knowledge import Cluster
from cucmweb.page import figures
from cucmweb.page.figures import Curve
from cucmweb.page.visit import Visit
from cucmweb.problems import HttpProblem

# The kinds of work of which the last job is shown. Collections may end with a health check too.
_KINDS = ("collect", "check", "health")
# The daemon is asked for each health check by itself. These limits keep a view cheap: the most
# clusters of which the last check is shown, and the most jobs of a cluster that are drawn.
_MOST_CLUSTERS = 8
_MOST_CHECKS = 30


class ClusterView(Struct, frozen=True):
    """Holds a cluster as the views show it.

    last     the last job of each kind
    checked  the jobs with a health check, the newest first
    verdict  what the newest has found, in a line
    curves   by node and check
    """

    cluster: Cluster
    last: dict[str, JobSummary]
    checked: list[Job]
    verdict: str
    curves: dict[str, dict[str, Curve]]


async def show_clusters(visit: Visit) -> None:
    """Shows each cluster with its nodes, with the last job of each kind, and its last figures."""
    known = await visit.ask(methods.clusters())
    shown = []
    for place, cluster in enumerate(known):
        checks = 1 if place < _MOST_CLUSTERS else 0
        shown += await _clusters(visit, cluster.name or cluster.asked or "", checks)
    await visit.show("clusters.html", clusters=shown, one=False, checks=figures.CHECKS)


async def show_cluster(visit: Visit) -> None:
    """Shows one cluster, and its figures over time."""
    shown = await _clusters(visit, visit.path["name"], _MOST_CHECKS)
    if not shown:
        raise HttpProblem(404, "NoSuchCluster", "no cluster of this name is known")
    await visit.show("clusters.html", clusters=shown, one=True, checks=figures.CHECKS)


async def _clusters(visit: Visit, name: str, checks: int) -> list[ClusterView]:
    """Returns the clusters of this name, or those that have a node of this name.

    checks  the most jobs that are read
    """
    last: dict[str, JobSummary] = {}
    may_be_checks: list[JobSummary] = []
    for kind in _KINDS:
        listed = await visit.ask(methods.list(target=name, kind=kind, limit=max(1, checks)))
        if listed:
            last[kind] = listed[0]
        # The commands of a collection are those of its snapshot, which may be a health check.
        may_be_checks += [job for job in listed if kind == "health" or job.commands]
    may_be_checks.sort(key=lambda job: job.created_at, reverse=True)
    checked: list[Job] = []
    for job in may_be_checks[:checks]:
        try:
            whole = await visit.ask(methods.status(job.job_id))
        except JobNotFound:
            continue  # it was deleted meanwhile
        if any(node.health for node in whole.nodes):
            checked.append(whole)
    curves = figures.curves(checked)
    shown = []
    for cluster in await visit.ask(methods.clusters(name)):
        names = {node.node for node in cluster.nodes or ()}
        verdict = figures.verdict(checked[0], names) if checked else ""
        shown.append(ClusterView(cluster, last, checked, verdict, curves))
    return shown
