"""PURE. What is kept of a request for a job that is tried again, or goes on after a restart.

It is what the request has meant at first: its nodes, its hours, its timeouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import asdict, replace

from cucmd.config import InvalidValue
from cucmd.config.errors import found
from cucmd.job import asked
from cucmd.job.collect import Collect
from cucmd.job.duration import parse_last
from cucmd.job.job import Job
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.errors import UnknownNode


def with_hours(work: Collect, now: datetime) -> Collect:
    """With the hours that a `last` means, so that the job can ask for them again later."""
    if work.last is None:
        return work
    return replace(work, since=now - parse_last(work.last), until=now)


def tried_again(job: Job, names: Sequence[str] | None) -> frozenset[int]:
    """The positions of the nodes that are named, or of all that did not succeed.

    Raises `UnknownNode`; `InvalidValue` if there is nothing to try again.
    """
    positions = {node.node: position for position, node in enumerate(job.nodes)}
    for name in names or ():
        if name not in positions:
            raise UnknownNode(job.job_id, name)
        if job.nodes[positions[name]].status == "succeeded":
            raise InvalidValue("nodes", found(name, "has succeeded; there is nothing to try again"))
    if names is not None:
        return frozenset(positions[name] for name in names)
    left = [at for at, node in enumerate(job.nodes) if node.status != "succeeded"]
    if not left:
        raise InvalidValue("nodes", "have all succeeded; there is nothing to try again")
    return frozenset(left)


def asked_timeouts(job: Job, whole: Timeouts) -> asked.Timeouts:
    """The timeouts of the request, which hold on every node.

    A job that was stored without their names has had those that differ from `whole`, the timeouts
    that the configuration of today has for the job. `answer` is younger than such jobs.
    """
    values, names_asked = asdict(job.timeouts), job.timeouts_asked
    if names_asked is None:
        names = (name for name in values if name != "answer")
        names_asked = tuple(name for name in names if values[name] != getattr(whole, name))
    return asked.Timeouts(**{name: values[name] for name in values if name in names_asked})
