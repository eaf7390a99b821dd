"""PURE. The fields of a request to capture packets, checked, with their defaults.

The one rule: what would not be typed on a node is refused here, by the name of its field.
"""

from __future__ import annotations

from collections.abc import Sequence

from cucmd.config import InvalidValue
from cucmd.config.errors import found
from cucmd.job import Capture, Job
from cucmd.node.ports import NodeTask
from cucmd.protocol.structs_commands import CaptureRequest
from cucmd.vos import CaptureCommand, InvalidArgument

# An idle session of a node ends after 30 minutes (vos/NODES.md, section 1), and nothing is typed
# while a capture runs.
LONGEST = 1200.0
SHORTEST = 1.0


def resolve_capture(request: CaptureRequest, name: str) -> Capture:
    """What to capture, into a file of that name. Raises `InvalidValue`."""
    default = Capture(name)
    duration = default.duration if request.duration is None else request.duration
    if not SHORTEST <= duration <= LONGEST:  # `not` also refuses NaN
        expected = f"expected seconds from {SHORTEST:g} to {LONGEST:g}"
        raise InvalidValue("duration", f"{duration:g}: {expected}")
    what = Capture(
        name=name,
        interface=default.interface if request.interface is None else request.interface,
        host=request.host,
        port=request.port,
        count=default.count if request.count is None else request.count,
        size=request.size,
        duration=duration,
        delete=bool(request.delete),
    )
    try:
        CaptureCommand.of(what, name).command_line()
    except InvalidArgument as error:
        raise InvalidValue(error.field, found(error.value, error.reason)) from None
    return what


def check_together(job: Job, tasks: Sequence[NodeTask | None], connections: int) -> None:
    """All nodes of a capture run at once, and each for all of its duration. Raises `InvalidValue`.

    connections: to nodes, that the daemon has at once.
    """
    nodes, most = len(job.nodes), min(job.concurrency, connections)
    if nodes > most:
        limit = "concurrency" if most == job.concurrency else "limits.connections"
        reason = f"{nodes} nodes; a capture runs on all at once, and {limit} is {most}"
        raise InvalidValue("nodes", reason)
    assert isinstance(job.work, Capture)
    duration = job.work.duration
    for name, seconds in _limits(job, tasks):
        if duration >= seconds:
            reason = f"{duration:g} s is not less than the {name} timeout ({seconds:g} s)"
            raise InvalidValue("duration", reason)


def _limits(job: Job, tasks: Sequence[NodeTask | None]) -> list[tuple[str, float]]:
    return [
        ("job", job.timeouts.job),
        *(("node", task.timeouts.node) for task in tasks if task is not None),
    ]
