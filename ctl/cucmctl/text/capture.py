"""PURE. Says of a packet capture what was asked for, what a node does, and what came of it.

A node captures from the moment at which it took the command until it is known to have ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cucmctl.cli.printer import visible
from cucmctl.text.times import NODE_ENDED
from cucmd.job.capture import CaptureSettings
from cucmd.protocol.jobs import Job, Node


def asked(settings: CaptureSettings) -> Iterator[str]:
    """Yields `captures packets of eth0 for 60 s, port 5060; at most 100000 of a node`."""
    parts = [f"captures packets of {settings.interface} for {settings.duration:g} s"]
    if of := packets_of(settings):
        parts.append(of)
    if settings.size is not None:
        parts.append(f"{settings.size} bytes of each")
    yield visible(f"{', '.join(parts)}; at most {settings.count} of a node")
    if settings.delete:
        yield visible(f"removes {settings.name}*.cap from the nodes once it is here")


def packets_of(settings: CaptureSettings) -> str:
    """Returns `host 10.20.0.1, port 5060`; empty: all packets."""
    chosen = {"host": settings.host, "port": settings.port}
    return ", ".join(f"{name} {value}" for name, value in chosen.items() if value is not None)


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
    """Returns the seconds until its capture is ended by its duration: 0 while that takes its time;
    None: it does not capture. It may end before that: by its count, or by `stop`.
    """
    if job.capture is None or node.capture is None or not captures(node):
        return None
    return max(0.0, job.capture.duration - (at - node.capture.started_at).total_seconds())


def longest_left(job: Job, at: datetime) -> float | None:
    """Returns the seconds until the last of the captures that run is ended by its duration; None:
    none runs.
    """
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
    """`1 packet`, `312 packets, not all counted`: in all files that came."""
    found = [(node.status, node.capture.packets) for node in job.nodes if node.capture]
    count = sum(packets or 0 for _, packets in found)
    said = "1 packet" if count == 1 else f"{count} packets"
    return f"{said}, not all counted" if ("succeeded", None) in found else said


def may_still_run(node: Node) -> Iterator[str]:
    """What is to be said of a node that has ended, and on which captures may not have.

    Of those that were given up, a failure or the notes say it, which a cancelled node has not. It
    has ended before its capture, which takes up to 45 s more; so has one that failed at the job's
    deadline.
    """
    if node.status not in NODE_ENDED:
        return
    given_up = node.may_run or ()
    if given_up and node.status == "cancelled":
        captures = "a capture" if len(given_up) == 1 else "captures"
        yield f"{captures} may still run there, into {' and '.join(map(_file, given_up))}"
    capture = node.capture
    if capture is not None and capture.running and capture.name not in given_up:
        yield f"it is not known yet that its capture has ended ({_file(capture.name)})"


def _file(name: str) -> str:
    return f"platform/cli/{visible(name)}.cap"
