"""Counts how jobs and nodes end, and how long the phases of nodes take, since the daemon began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cucmd.failure import Code
from cucmd.histogram import LONG, Histogram
from cucmd.job.job import Job
from cucmd.job.node import Failed, Node, Phase
from cucmd.job.work import KINDS, kind_of

# The phases whose durations are counted. Those of connections do not depend on the request.
_OF_CONNECTIONS = (Phase.CONNECT, Phase.LOGIN)
_PHASES = (*_OF_CONNECTIONS, Phase.COMMAND, Phase.TRANSFER)
# The most keys of `nodes`. Later nodes are counted without their names, because a daemon that runs
# for months may meet any number of names.
MOST_NAMED = 5000


class JobCounts:
    """Counts since the daemon began. What has not happened yet has the count 0, because a
    monitoring system only sees the growth of a count that it already knows.

    jobs       (kind, status) -> jobs that have ended
    nodes      (node, status, failure code or None) -> nodes that have ended. The sum over all nodes
               has the node ""
    durations  phase -> how long it took, if no failure and no cancel has cut it off
    """

    def __init__(self) -> None:
        ends = ("succeeded", "partial", "failed", "cancelled")
        self.jobs = Counter({(kind_of(kind), end): 0 for kind in KINDS for end in ends})
        self.nodes: Counter[tuple[str, str, str | None]] = Counter(
            {("", "succeeded", None): 0, ("", "cancelled", None): 0}
            | {("", "failed", code.value): 0 for code in Code}
        )
        self.durations = {phase: Histogram(LONG) for phase in _PHASES}

    def durations_of(self, job: Job) -> Mapping[Phase, Histogram]:
        """Returns the histograms for a job. A capture takes as long as its request says, so only
        the durations of its connections are counted.
        """
        if not job.work.simultaneous:
            return self.durations
        return {phase: self.durations[phase] for phase in _OF_CONNECTIONS}

    def note_job_end(self, job: Job) -> None:
        self.jobs[job.kind, job.status] += 1

    def note_node_end(self, node: Node) -> None:
        code = node.state.failure.code if isinstance(node.state, Failed) else None
        self.nodes["", node.status, code] += 1
        named = node.node, node.status, code
        if named in self.nodes or len(self.nodes) < MOST_NAMED:
            self.nodes[named] += 1
