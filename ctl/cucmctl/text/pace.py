"""PURE. Says how fast nodes send, how long a job has run and will take, how long a node is silent.

What is not known is None, and never a guess. All values are seconds. The caller gives the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

from cucmd.job.asked import Collection
from cucmd.protocol.jobs import Job, Node

NODE_ENDED = ("succeeded", "failed", "cancelled")
# Seconds. Long enough for a steady number, short enough to show soon that a transfer has stopped.
WINDOW = 5.0


def elapsed(job: Job, at: datetime) -> float:
    """Counts since it began; since it was made, if it waits for its turn for the first time."""
    return max(0.0, ((job.completed_at or at) - (job.started_at or job.created_at)).total_seconds())


def left_of_node(node: Node, collection: Collection, rate: float) -> float | None:
    """Returns the seconds until the last of its bytes has come, at this rate (bytes per second).

    It is None while it has not announced all of its files, while nothing comes, and where it packs
    them: what it has announced is their size before.
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
    """Returns the seconds until the last node has sent all: None while that is not known of one of
    them.

    rate_of  a node's name -> its bytes per second
    """
    longest = 0.0
    for node in job.nodes:
        left = left_of_node(node, job.collection, rate_of(node.node))
        if left is None:
            return None
        longest = max(longest, left)
    return longest


def waiting(node: Node, at: datetime) -> float:
    """Says for how many seconds a node has waited for a login on others; 0: it does not wait."""
    return 0.0 if node.waits_since is None else max(0.0, (at - node.waits_since).total_seconds())


def silence(node: Node, at: datetime) -> float | None:
    """Counts since the last byte of a node that is at work."""
    if node.status != "running" or node.heard_at is None:
        return None
    return max(0.0, (at - node.heard_at).total_seconds())


class Rates:
    """Keeps, for each node, how many bytes it had at which time."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def observe(self, job: Job, now: float) -> None:
        for node in job.nodes:
            seen = self._seen.setdefault(node.node, deque())
            if seen and node.bytes_received < seen[-1][1]:
                seen.clear()  # a new attempt counts from the start
            if not seen or node.bytes_received > seen[-1][1]:
                seen.append((now, node.bytes_received))

    def of(self, node: str, now: float) -> float:
        """Returns the bytes per second of a node; 0 if nothing came within the window."""
        seen = self._seen.get(node)
        if not seen:
            return 0.0
        # bytes are counted from the newest sample before the window
        while len(seen) > 1 and seen[1][0] <= now - WINDOW:
            seen.popleft()
        (then, before), (_, after) = seen[0], seen[-1]
        return (after - before) / max(now - max(then, now - WINDOW), 0.5)
