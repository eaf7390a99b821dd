"""PURE. Declares a capture of packets on all nodes at the same time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cucmd.job.failure import Failure
from cucmd.job.kind import Kind, Result, format_utc


def may_still_run(names: Sequence[str]) -> str:
    """Returns a note that captures of these names may still run on a node."""
    captures = "a capture" if len(names) == 1 else "captures"
    files = " and ".join(f"platform/cli/{name}.cap" for name in names)
    return f"{captures} may still run there, into {files}"


class CaptureSettings(msgspec.Struct, frozen=True):
    """Says what a job captures."""

    # The name of the file on the nodes, without a dot. No other job has the same name.
    name: str
    interface: str = "eth0"
    # An IPv4 address. Only packets from or to this host and this port are captured. Absent: all.
    host: str | None = None
    port: int | None = None
    # The number of packets after which the capture on a node ends by itself.
    count: int = 100_000
    # The bytes that are kept of each packet. Absent: all.
    size: int | None = None
    # The seconds after which the daemon ends the capture.
    duration: float = 60.0
    # Removes the file from a node once it is stored here.
    delete: bool = False


class Captured(Result, frozen=True):
    """Describes the capture on a node. This may change after the node has succeeded or failed or
    was cancelled, because the capture is ended on the node only after that.
    """

    changes_after_end = True

    # The name of the file on the node, without the ending that the node appends.
    name: str
    # When the node accepted the command, by our clock.
    started_at: datetime
    # When the node showed its prompt again, or was given up.
    ended_at: datetime | None = None
    # The packets in the files that came. Absent if no file came, or the packets could not be
    # counted. If the node has succeeded, a note says why.
    packets: int | None = None
    # Why the capture ended: "duration", "count", "stop", "node" (by itself), "cancelled" (the job
    # or the node was cancelled, or its deadline passed) or "failed".
    how: str | None = None
    # Packets may still be captured: the capture runs, or nothing has shown that it has ended. This
    # can also be true after the node has failed or was cancelled.
    running: bool = False

    def summary_lines(self) -> Iterator[str]:
        packets = self.packets
        text = "no packets counted" if packets is None else f"{packets} packets captured"
        text += f", from {format_utc(self.started_at)} to {format_utc(self.ended_at)}"
        yield f"{text}; the capture may still run there" if self.running else text

    def abandoned(self) -> "Captured":
        """Returns the capture as given up, because the daemon was stopped while the capture ran.

        Its end is not known, so it gets its start as its end.
        """
        return msgspec.structs.replace(self, ended_at=self.ended_at or self.started_at)

    def name_if_running(self, *, given_up: bool) -> str | None:
        return self.name if self.running and (given_up or self.ended_at is not None) else None


class Capture(CaptureSettings, Kind, frozen=True, tag="capture"):
    """Captures packets on all nodes at the same time, and collects the files."""

    title = "Packets captured"
    result_type = Captured
    repeatable = False  # nobody expects captures to run twice
    simultaneous = True

    @property
    def min_seconds(self) -> float:
        return self.duration

    def job_members(self) -> dict[str, Any]:
        return {"capture": msgspec.convert(self, CaptureSettings, from_attributes=True)}

    def name_of(self, first_attempt: int) -> str:
        """Returns the name of the file for the task of a node that begins with this attempt.

        Each retry has a name of its own, since the node may still have the file of an earlier one.
        """
        return self.name if first_attempt <= 1 else f"{self.name}_{first_attempt}"

    def explain_failure(self, why: Failure, may_run: tuple[str, ...]) -> Failure:
        """Adds to a failure that captures may still run on the node, and what a person can do."""
        if not may_run:
            return why
        # The names of all captures of this job begin with `self.name`.
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
