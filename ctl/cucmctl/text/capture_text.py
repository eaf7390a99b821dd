"""PURE. Describes a packet capture: what was requested, what a node does, and the result.

A node counts as capturing from the moment it took the command until the capture is known to have
ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import ClassVar, Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text.kind_text import KindText, Part, Rows, Table
from cucmctl.text.pace import NODE_ENDED
from cucmd.job.capture import CaptureSettings, may_still_run
from cucmd.protocol.jobs import Job, JobSummary, Node


class CaptureText(KindText):
    """The text of packet captures."""

    # How long the transfer of the files takes after that is not known.
    left_suffix: ClassVar[str] = "of the capture left"

    def describe(self, job: Job) -> Iterator[str]:
        if job.capture is not None:
            yield from describe_settings(job.capture)

    def summarize(self, job: Job | JobSummary) -> str:
        return "" if job.capture is None else packets_of(job.capture)

    def columns(
        self, job: Job, headings: tuple[str, ...], rows: Rows
    ) -> tuple[tuple[str, ...], Rows]:
        """Adds the column PACKETS before FILES."""
        at = headings.index("FILES")
        found = [node.capture and node.capture.packets for node in job.nodes]
        cells = ["" if packets is None else str(packets) for packets in found]
        return (*headings[:at], "PACKETS", *headings[at:]), [
            (*row[:at], cell, *row[at:]) for row, cell in zip(rows, cells, strict=True)
        ]

    def parts(self, job: Job) -> Iterator[Part]:
        rows = []
        for node in job.nodes:
            if (found := node.capture) is not None:
                packets = "not counted" if found.packets is None else str(found.packets)
                rows.append((node.full_name, packets, found.how or ""))
        if rows:
            yield Table(("NODE", "PACKETS", "ENDED BY"), rows, right="PACKETS")

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        return ()  # the table of nodes already has the packets

    def result(self, job: Job, files: str) -> str:
        found = [(node.status, node.capture.packets) for node in job.nodes if node.capture]
        count = sum(packets or 0 for _, packets in found)
        counted = "1 packet" if count == 1 else f"{count} packets"
        unknown = ", not all counted" if ("succeeded", None) in found else ""
        return f"{files}, {counted}{unknown}"

    def phase(self, node: Node, left: float | None = None) -> str:
        if not captures(node):
            return super().phase(node, left)
        return "capturing" if left is None or left >= 1 else "ending"

    def sends_nothing_now(self, node: Node) -> bool:
        return captures(node)

    def left_of_node(self, job: Job, node: Node, at: datetime | None, rate: float) -> float | None:
        """Returns the seconds until the duration of the capture is over; 0 if it is over already.

        The capture may end earlier, by its count or by `stop`. After the capture, returns the
        seconds until its files have come.
        """
        if not captures(node):
            return super().left_of_node(job, node, at, rate)
        return None if at is None else _seconds_left(job, node, at)

    def left_of_job(
        self, job: Job, at: datetime | None, rate_of: Callable[[str], float]
    ) -> float | None:
        """Returns the seconds until the last running capture ends; None if no capture runs."""
        left = [] if at is None else [_seconds_left(job, node, at) for node in job.nodes]
        return max((seconds for seconds in left if seconds is not None), default=None)

    def may_still_run(self, node: Node) -> Iterator[str]:
        """Names captures that may still run on a node that has ended.

        On a cancelled node, captures that were given up are named here; for other nodes the failure
        or the notes name them. A capture takes up to 45 s to end, so a cancelled node, or one that
        failed at the job's deadline, may end before its capture.
        """
        if node.status not in NODE_ENDED:
            return
        given_up = node.may_run or ()
        if given_up and node.status == "cancelled":
            yield visible(may_still_run(given_up))
        capture = node.capture
        if capture is not None and capture.running and capture.name not in given_up:
            name = visible(f"platform/cli/{capture.name}")
            yield f"its capture may not have ended yet ({name}.cap)"


TEXT = CaptureText()


def describe_settings(settings: CaptureSettings) -> Iterator[str]:
    """Yields `captures packets of eth0 for 60 s, port 5060; at most 100000 per node`."""
    parts = [f"captures packets of {settings.interface} for {settings.duration:g} s"]
    if filters := packets_of(settings):
        parts.append(filters)
    if settings.size is not None:
        parts.append(f"{settings.size} bytes of each")
    yield visible(f"{', '.join(parts)}; at most {settings.count} per node")
    if settings.delete:
        yield visible(f"deletes {settings.name}*.cap from the nodes once they are here")


def packets_of(settings: CaptureSettings) -> str:
    """Returns `host 10.20.0.1, port 5060`, or "" if all packets are captured."""
    chosen = {"host": settings.host, "port": settings.port}
    return ", ".join(f"{name} {value}" for name, value in chosen.items() if value is not None)


def captures(node: Node) -> bool:
    """Returns whether the node captures at this moment, as far as is known."""
    capture = node.capture
    return node.status == "running" and capture is not None and capture.ended_at is None


def _seconds_left(job: Job, node: Node, at: datetime) -> float | None:
    if job.capture is None or node.capture is None or not captures(node):
        return None
    return max(0.0, job.capture.duration - (at - node.capture.started_at).total_seconds())
