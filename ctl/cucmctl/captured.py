"""PURE. What is said of a packet capture: what was asked for, what a node does, what came of it.

The one rule: a node captures from the moment at which it took the command until it is known to have
ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cucmctl.printer import visible
from cucmctl.times import NODE_ENDED
from cucmd.api.structs import Job, Node
from cucmd.api.structs_captures import CaptureSettings


def asked(settings: CaptureSettings) -> Iterator[str]:
    """`captures packets of eth0 for 60 s, host 10.20.0.1, port 5060; at most 100000 of a node`."""
    parts = [f"captures packets of {settings.interface} for {settings.duration:g} s"]
    if settings.host is not None:
        parts.append(f"host {settings.host}")
    if settings.port is not None:
        parts.append(f"port {settings.port}")
    if settings.size is not None:
        parts.append(f"{settings.size} bytes of each")
    yield visible(f"{', '.join(parts)}; at most {settings.count} of a node")
    if settings.delete:
        yield visible(f"removes {settings.name}*.cap from the nodes once it is here")


def captures(node: Node) -> bool:
    """Whether it captures at this moment, as far as it is known."""
    capture = node.capture
    return node.status == "running" and capture is not None and capture.ended_at is None


def phase(node: Node) -> str:
    """What a running node does, in a word; empty of others."""
    if node.status != "running":
        return ""
    return "capturing" if captures(node) else node.phase or ""


def seconds_left(job: Job, node: Node, at: datetime) -> float | None:
    """Until its capture is ended by its duration: 0 while that takes its time; None: it does not
    capture. It may end before that: by its count, or by `stop`.
    """
    if job.capture is None or node.capture is None or not captures(node):
        return None
    return max(0.0, job.capture.duration - (at - node.capture.started_at).total_seconds())


def longest_left(job: Job, at: datetime) -> float | None:
    """Until the last of the captures that run is ended by its duration; None: none runs."""
    left = (seconds_left(job, node, at) for node in job.nodes)
    return max((seconds for seconds in left if seconds is not None), default=None)


def with_packets(
    job: Job, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
    """A table of the job's nodes, of a capture with a column more: PACKETS, before FILES."""
    if job.capture is None:
        return headings, rows
    at = headings.index("FILES")
    cells = [_packets(node) for node in job.nodes]
    return (*headings[:at], "PACKETS", *headings[at:]), [
        (*row[:at], cell, *row[at:]) for row, cell in zip(rows, cells, strict=True)
    ]


def _packets(node: Node) -> str:
    if node.capture is None or node.capture.packets is None:
        return ""
    return str(node.capture.packets)


def counted(job: Job) -> str:
    """`1 packet`, `312 packets`: in all files that came."""
    count = sum(node.capture.packets or 0 for node in job.nodes if node.capture is not None)
    return "1 packet" if count == 1 else f"{count} packets"


def may_still_run(node: Node) -> str:
    """What is to be said of a node that has ended, and on which a capture may not have; or empty.

    A failure and notes say it themselves. A node that is cancelled has ended before its capture,
    which takes up to 45 s more.
    """
    if node.capture is None or not node.capture.running or node.status not in NODE_ENDED:
        return ""
    said = (node.error or "", *node.notes)
    if any("may still" in text for text in said):
        return ""
    file = f"platform/cli/{visible(node.capture.name)}.cap"
    if node.capture.ended_at is None:
        return f"it is not known yet that its capture has ended ({file})"
    return f"a capture may still run there, into {file}"
