"""One simulated node without its connections: its identity and what it remembers.

All sessions of a node share this. Nodes share only the options and the counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from cucmd.lab import tree
from cucmd.lab.answers import Member
from cucmd.lab.captures import LOCATION, Captures
from cucmd.lab.counters import AllCounters
from cucmd.lab.faults import FaultPlan, Kind
from cucmd.lab.options import LabOptions

_USED = 61.0  # percent of the partition for logs
_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Node:
    """Node number `index` (from 1) of a lab; `members` is its cluster, itself included."""

    def __init__(
        self, index: int, options: LabOptions, members: Sequence[Member], counters: AllCounters
    ) -> None:
        self._counters = counters
        self.index = index
        self.options = options
        self.members = members
        self.plan = FaultPlan(options.faults, index, partial(self.count, "faults_used"))
        self.refused_logins = 0
        # (host, port) -> fingerprint: a node remembers receivers, and stalls if a key changes.
        self.known_receivers: dict[tuple[str, int], str] = {}
        self.captures = Captures(members[index - 1].address, options.packets)
        self._removed: set[tuple[str, str]] = set()  # location, path
        self._clock_offset = timedelta()
        self._last_stamp = _LONG_AGO

    @property
    def here(self) -> Member:
        return self.members[self.index - 1]

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of this node's counters."""
        self._counters.count(self.index - 1, name, by)

    def counter(self, name: str) -> int:
        value: int = getattr(self._counters.nodes[self.index - 1], name)
        return value

    @property
    def percent_used(self) -> float:
        """How much of the partition for logs is in use."""
        low = self.plan.take(Kind.LOW_SPACE)
        return _USED if low is None else low.number

    def files(self, location: str) -> list[tree.VirtualFile]:
        """Those that were there from the beginning, and the captures; not those removed."""
        found = [*tree.files_of(location, self.index, self.options.shape)]
        if location == LOCATION:
            found += self.captures.files()
        return [file for file in found if (location, file.path) not in self._removed]

    def blocks(self, location: str, file: tree.VirtualFile) -> Iterator[bytes]:
        """The content of a file as it was when `files` gave it, in blocks of 32 KiB."""
        capture = self.captures.get(file.path) if location == LOCATION else None
        if capture is None:
            return tree.blocks(self.index, file.path, file.size)
        return capture.blocks(file.size)

    def remove(self, location: str, path: str) -> bool:
        """Removes a file. False: it is in use, and stays."""
        capture = self.captures.get(path) if location == LOCATION else None
        if capture is None:
            self._removed.add((location, path))
        elif capture.packets is None:
            return False
        else:
            self.captures.remove(path)
        self.count("files_deleted")
        return True

    def now(self) -> datetime:
        """By the node's own clock."""
        return datetime.now(UTC) + self._clock_offset

    def move_clock(self, by: timedelta) -> None:
        """Sets the node's clock forward or back."""
        self._clock_offset += by
        self._last_stamp = _LONG_AGO

    def next_stamp(self) -> str:
        """The name of the next push's folder, in the node's own time. No name comes twice."""
        now = self.now().replace(microsecond=0)
        self._last_stamp = max(now, self._last_stamp + timedelta(seconds=1))
        return f"{self._last_stamp.astimezone(self.options.timezone):%Y-%m-%d_%H-%M-%S}"
