"""PURE. Declares a capture of packets on all nodes at the same time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cucmd.job.failure import Failure
from cucmd.job.kind import Kind, Result, format_utc


def may_still_run(names: Sequence[str]) -> str:
    """Says of a node that captures of these names may still run there."""
    captures = "a capture" if len(names) == 1 else "captures"
    files = " and ".join(f"platform/cli/{name}.cap" for name in names)
    return f"{captures} may still run there, into {files}"


class CaptureSettings(msgspec.Struct, frozen=True):
    """Says what a job was asked to capture. name: of the file on the nodes, without a dot: of this
    job and no other. host, an IPv4 address, and port: only packets from or to these; absent: all.
    count: packets of a node after which its capture ends by itself. size: bytes that are kept of a
    packet; absent: all. duration: seconds after which the daemon ends it. delete: the file is
    removed from a node once it is safe here.
    """

    name: str
    interface: str = "eth0"
    host: str | None = None
    port: int | None = None
    count: int = 100_000
    size: int | None = None
    duration: float = 60.0
    delete: bool = False


class Captured(Result, frozen=True):
    """Says what became of the capture on a node. Unlike the state of the node it may change once
    that has settled: a capture is ended after that.

    name: of its file there, without what the node puts behind it. started_at: when the node took
    the command, by our clock. running: packets may still be captured: it runs, or nothing has shown
    that it has ended; also after the node has failed or was cancelled. ended_at: when the node was
    at its prompt again, or was given up. packets: in the files that came; absent: none came,
    or they could not be counted, and where the node succeeded a note says why. how: why it ended:
    "duration", "count", "stop", "node" (by itself), "cancelled" (the job or the node, or a deadline
    of either) or "failed".
    """

    changes_after_end = True

    name: str
    started_at: datetime
    ended_at: datetime | None = None
    packets: int | None = None
    how: str | None = None
    running: bool = False

    def summary_lines(self) -> Iterator[str]:
        packets = self.packets
        text = "no packets counted" if packets is None else f"{packets} packets captured"
        text += f", from {format_utc(self.started_at)} to {format_utc(self.ended_at)}"
        yield f"{text}; the capture may still run there" if self.running else text

    def abandoned(self) -> "Captured":
        """Returns the same, given up: the daemon was stopped while it ran, it is not known when."""
        return msgspec.structs.replace(self, ended_at=self.ended_at or self.started_at)

    def name_if_running(self, *, given_up: bool) -> str | None:
        return self.name if self.running and (given_up or self.ended_at is not None) else None


class Capture(CaptureSettings, Kind, frozen=True, tag="capture"):
    """Captures packets on all nodes at the same time, and collects the files."""

    title = "Packets captured"
    result_type = Captured
    repeatable = False  # nobody wants captures to run twice
    simultaneous = True

    @property
    def min_seconds(self) -> float:
        return self.duration

    def job_members(self) -> dict[str, Any]:
        return {"capture": msgspec.convert(self, CaptureSettings, from_attributes=True)}

    def name_of(self, first_attempt: int) -> str:
        """Returns the name for a node. One that is tried again may have the file of an attempt
        before.
        """
        return self.name if first_attempt <= 1 else f"{self.name}_{first_attempt}"

    def explain_failure(self, why: Failure, may_run: tuple[str, ...]) -> Failure:
        """Adds what a person can do if captures may still run there."""
        if not may_run:
            return why
        # That of all of them begins so.
        name = may_run[0] if len(may_run) == 1 else self.name
        hint = (
            "as a rule a capture ends with its session, and at the latest after "
            f"{self.count} packets; if 'file list activelog platform/cli/{name}* detail' "
            "on the node shows another size each time, it runs"
        )
        message = f"{why.message}; {may_still_run(may_run)}"
        return msgspec.structs.replace(why, message=message, hint=hint)

    def lines_if_cancelled(self, may_run: tuple[str, ...]) -> Iterator[str]:
        for name in may_run:
            yield may_still_run((name,))

    def request_facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        """Yields `eth0, host 10.0.0.7, port 5060, 60 s, at most 100000 packets`."""
        words = [self.interface]
        words += [f"host {self.host}"] if self.host is not None else []
        words += [f"port {self.port}"] if self.port is not None else []
        words += [f"{self.duration:g} s", f"at most {self.count} packets"]
        words += [f"{self.size} bytes of each"] if self.size is not None else []
        yield "Capture", ", ".join(words)
