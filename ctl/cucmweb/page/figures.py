"""PURE. Reads from health checks how well the nodes of a cluster were over time.

A check of a node has a curve: a reading for each job in which the check was made. The templates
draw the curve, and show its readings as a table for people who cannot see it. SVG scales it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from cucmctl.text import health_text
from cucmd.protocol.jobs import Job

# Check -> the heading of its column, and the figure at the upper edge of its plot. A greater figure
# makes the plot higher. (4) is the worst state of the replication; 2 is good.
CHECKS = {
    "disk": ("Disk", 100),
    "processor": ("Processor", 100),
    "replication": ("Replication", 4),
    "certificates": ("Certificates", 90),
}


class Reading(Struct, frozen=True):
    """Holds what a check has found on a node in one job.

    figure  None if the check could not be read, or the daemon was too old to give a figure
    word    good, bad, ...
    status  the status of jobs that has the same colour as the word
    """

    at: datetime
    figure: float | None
    unit: str
    word: str
    status: str

    def __str__(self) -> str:
        figure = [] if self.figure is None else [f"{self.figure:,.10g}", self.unit]
        return " ".join(
            filter(None, (*figure, "" if figure and self.word == "good" else self.word))
        )


class Curve(Struct, frozen=True):
    """Holds the readings of one check on a node, the oldest first.

    begin, end  the times at the left and the right edge
    top         the least figure at the upper edge
    """

    readings: tuple[Reading, ...]
    begin: datetime
    end: datetime
    top: float

    @property
    def points(self) -> list[tuple[float, float]]:
        """Returns the place of each figure: the seconds since the left edge, and the figure. The
        figure is negative, because y grows downwards.
        """
        return [
            ((each.at - self.begin).total_seconds(), -max(each.figure, 0))
            for each in self.readings
            if each.figure is not None
        ]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Returns x, y, width and height of the picture, in the units of the points."""
        height = max([self.top, *(-y for _, y in self.points)])
        return 0, -height, (self.end - self.begin).total_seconds() or 1, height

    @property
    def says(self) -> str:
        first, last = self.readings[0], self.readings[-1]
        return f"{first} to {last} in {len(self.readings)} checks"


def curves(checked: Sequence[Job]) -> dict[str, dict[str, Curve]]:
    """Returns the curves of each node by its check.

    checked  the jobs, the newest first
    """
    readings: dict[str, dict[str, list[Reading]]] = {}
    for job in reversed(checked):
        for node in job.nodes:
            findings = node.health.findings if node.health else ()
            for check in CHECKS:
                found = [finding for finding in findings if finding.check == check]
                if not found:
                    continue
                # The certificate that ends first, or the first finding: the bad ones are first.
                with_figure = [finding for finding in found if finding.figure is not None]
                if check == "certificates":
                    with_figure.sort(key=lambda finding: finding.figure or 0)
                chosen = with_figure[0] if with_figure else found[0]
                readings.setdefault(node.node, {}).setdefault(check, []).append(
                    Reading(
                        job.created_at, chosen.figure, chosen.unit or "", *health_text.worst(found)
                    )
                )
    return {
        node: {
            check: Curve(tuple(of_check), checked[-1].created_at, checked[0].created_at, top)
            for check, (_, top) in CHECKS.items()
            if (of_check := of_node.get(check))
        }
        for node, of_node in readings.items()
    }


def verdict(job: Job, nodes: Container[str]) -> str:
    """Returns `3 nodes: 1 bad, 2 good` for those nodes of the job that are in a cluster, or "" if
    there are none.

    nodes  the names of the nodes of the cluster
    """
    whole = health_text.complete(job)
    own = tuple(node for node in whole.nodes if node.node in nodes)
    return health_text.verdict(replace(whole, nodes=own)) if own else ""
