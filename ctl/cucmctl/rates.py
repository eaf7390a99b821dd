"""PURE. Bytes per second of each node, over the last few seconds.

The one rule: the clock is the caller's.
"""

from __future__ import annotations

from collections import deque

from cucmd.api.structs import Job

# Long enough to be calm, short enough to show within seconds that a transfer stands still.
WINDOW = 5.0


class Rates:
    """Remembers, per node, when it had how many bytes."""

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
        """Bytes per second; 0 when nothing came within the window."""
        seen = self._seen.get(node)
        if not seen:
            return 0.0
        # the newest sample from before the window is where the window's bytes count from
        while len(seen) > 1 and seen[1][0] <= now - WINDOW:
            seen.popleft()
        (then, before), (_, after) = seen[0], seen[-1]
        return (after - before) / max(now - max(then, now - WINDOW), 0.5)
