"""PURE. Computes how fast nodes send, how long a job has run and will still take, and silences.

A value that is unknown is None, never a guess. Values are in seconds. The caller supplies the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

from cucmd.job.work_request import Collection
from cucmd.protocol.jobs import Job, Node

NODE_ENDED = ("succeeded", "failed", "cancelled")
# Seconds. Long enough for a steady rate, and short enough to notice soon that a transfer stopped.
WINDOW = 5.0
# Seconds without a byte after which the silence is shown.
SILENT = 5.0


def elapsed(job: Job, at: datetime) -> float:
    """Returns how long a job has run, or how long it has waited if it has not started yet."""
    return max(0.0, ((job.completed_at or at) - (job.started_at or job.created_at)).total_seconds())


def left_of_node(node: Node, collection: Collection, rate: float) -> float | None:
    """Returns the seconds until the last byte has come, at `rate` bytes per second.

    Returns None until the node has announced all of its files, while nothing comes, and with
    `compress`, where the announced size is the size before compression.
    """
    if node.status in NODE_ENDED:
        return 0.0
    if node.status != "running" or not node.all_announced:
        return None
    if node.bytes_announced is None or collection.compress:
        return None
    missing = node.bytes_announced - node.bytes_received
    if missing <= 0:
        return 0.0
    return missing / rate if rate > 0 else None


def left_of_job(job: Job, rate_of: Callable[[str], float]) -> float | None:
    """Returns the seconds until the last node has sent everything; None if one is unknown.

    rate_of  node -> bytes per second
    """
    longest = 0.0
    for node in job.nodes:
        left = left_of_node(node, job.collection, rate_of(node.node))
        if left is None:
            return None
        longest = max(longest, left)
    return longest


def waiting(node: Node, at: datetime) -> float:
    """Returns how many seconds a node has waited for the login on others; 0 if it does not."""
    return 0.0 if node.waits_since is None else max(0.0, (at - node.waits_since).total_seconds())


def silence(node: Node, at: datetime) -> float | None:
    """Returns the seconds since the last byte of a running node, or None."""
    if node.status != "running" or node.heard_at is None:
        return None
    return max(0.0, (at - node.heard_at).total_seconds())


class Rates:
    """Computes the rate of each node from the number of its bytes at several times."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def observe(self, job: Job, now: float) -> None:
        """Notes how many bytes each node of the job has at the moment `now`."""
        for node in job.nodes:
            seen = self._seen.setdefault(node.node, deque())
            if seen and node.bytes_received < seen[-1][1]:
                seen.clear()  # a new attempt counts from zero
            if not seen or node.bytes_received > seen[-1][1]:
                seen.append((now, node.bytes_received))

    def rate_of(self, node: str, now: float) -> float:
        """Returns the bytes per second of a node; 0 if nothing came within WINDOW."""
        seen = self._seen.get(node)
        if not seen:
            return 0.0
        # Count from the newest sample that is older than the window.
        while len(seen) > 1 and seen[1][0] <= now - WINDOW:
            seen.popleft()
        (then, before), (_, after) = seen[0], seen[-1]
        return (after - before) / max(now - max(then, now - WINDOW), 0.5)
