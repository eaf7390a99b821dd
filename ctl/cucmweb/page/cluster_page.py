"""Shows the clusters that are known, and how well their nodes were when they were checked.

The view of all clusters has the last health check of each. The view of one cluster draws what the
health checks that are kept have found.
"""

from __future__ import annotations

from msgspec import Struct

from cucmctl.client.errors import JobNotFound
from cucmd.protocol import jobs, knowledge, requests
from cucmd.protocol.jobs import Job
from cucmd.protocol.knowledge import Cluster
from cucmweb.page import figures
from cucmweb.page.figures import Curve
from cucmweb.page.visit import Visit
from cucmweb.problems import HttpProblem

# The number of jobs in which the last one of each kind is looked for.
_LOOKED_THROUGH = 20
# The daemon is asked for each health check by itself. These limits keep a view cheap: the most
# clusters of which the last check is shown, and the most checks of a cluster that are drawn.
_MOST_CLUSTERS = 8
_MOST_CHECKS = 30


class ClusterView(Struct, frozen=True):
    """Holds a cluster as the views show it.

    last     the last job of each kind
    checked  its health checks, the newest first
    verdict  what the newest has found, in a line
    curves   by node and check
    """

    cluster: Cluster
    last: dict[str, jobs.JobSummary]
    checked: list[Job]
    verdict: str
    curves: dict[str, dict[str, Curve]]

    @property
    def name(self) -> str:
        return _name(self.cluster)


def _name(cluster: Cluster) -> str:
    return cluster.name or cluster.asked or ""


async def show_clusters(visit: Visit) -> None:
    """Shows each cluster with its nodes, with the last job of each kind, and its last figures."""
    known = await visit.call(knowledge.ClustersRequest(), knowledge.ClustersReply)
    shown = []
    for place, cluster in enumerate(known.clusters):
        checks = 1 if place < _MOST_CLUSTERS else 0
        shown += await _clusters(visit, _name(cluster), checks)
    await visit.show("clusters.html", clusters=shown, one=False, checks=figures.CHECKS)


async def show_cluster(visit: Visit) -> None:
    """Shows one cluster, and its figures over time."""
    shown = await _clusters(visit, visit.path["name"], _MOST_CHECKS)
    if not shown:
        raise HttpProblem(404, "NoSuchCluster", "no cluster of this name is known")
    await visit.show("clusters.html", clusters=shown, one=True, checks=figures.CHECKS)


async def _clusters(visit: Visit, name: str, checks: int) -> list[ClusterView]:
    """Returns the clusters of this name, or those that have a node of this name.

    checks  the number of health checks that are read
    """
    reply = await visit.call(knowledge.ClustersRequest(name), knowledge.ClustersReply)
    newest = await visit.call(
        requests.ListRequest(target=name, limit=_LOOKED_THROUGH), jobs.ListReply
    )
    last: dict[str, jobs.JobSummary] = {}
    for job in newest.jobs:
        last.setdefault(job.kind, job)
    checked = []
    if checks:
        kept = requests.ListRequest(target=name, kind="health", limit=checks)
        for job in (await visit.call(kept, jobs.ListReply)).jobs:
            last.setdefault(job.kind, job)
            try:
                status = requests.StatusRequest(job.job_id)
                checked.append((await visit.call(status, jobs.JobReply)).job)
            except JobNotFound:
                continue  # it was deleted meanwhile
    curves = figures.curves(checked)
    shown = []
    for cluster in reply.clusters:
        names = {node.node for node in cluster.nodes or ()}
        verdict = figures.verdict(checked[0], names) if checked else ""
        shown.append(ClusterView(cluster, last, checked, verdict, curves))
    return shown
