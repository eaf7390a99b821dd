"""PURE. Bytes per second of each node, over the last few seconds.

The caller gives the time.
"""

from __future__ import annotations

from collections import deque

from cucmd.protocol.jobs import Job

# Seconds. Long enough for a steady number, short enough to show soon that a transfer has stopped.
WINDOW = 5.0


class Rates:
    """For each node, how many bytes it had at which time."""

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
        """Bytes per second of a node; 0 if nothing came within the window."""
        seen = self._seen.get(node)
        if not seen:
            return 0.0
        # bytes are counted from the newest sample before the window
        while len(seen) > 1 and seen[1][0] <= now - WINDOW:
            seen.popleft()
        (then, before), (_, after) = seen[0], seen[-1]
        return (after - before) / max(now - max(then, now - WINDOW), 0.5)
