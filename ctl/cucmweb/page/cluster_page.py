"""Shows the clusters that are known."""

from __future__ import annotations

from cucmd.protocol import jobs, knowledge, requests
from cucmweb.page.visit import Visit

# The number of jobs in which the last one of each kind is looked for.
_LOOKED_THROUGH = 20


async def show_clusters(visit: Visit) -> None:
    """Shows each cluster with its nodes, and with the last job of each kind."""
    known = await visit.call(knowledge.ClustersRequest(), knowledge.ClustersReply)
    shown = []
    for cluster in known.clusters:
        name = cluster.name or cluster.asked
        reply = await visit.call(knowledge.ClustersRequest(name), knowledge.ClustersReply)
        newest = await visit.call(
            requests.ListRequest(target=name, limit=_LOOKED_THROUGH), jobs.ListReply
        )
        last: dict[str, jobs.JobSummary] = {}
        for job in newest.jobs:
            last.setdefault(job.kind, job)
        shown += [(each, last) for each in reply.clusters]
    await visit.show("clusters.html", clusters=shown)
