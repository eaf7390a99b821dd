"""Holds the state of a simulated node that its sessions share, and the counters of all nodes.

Nodes share only the options and the counters. Each event is counted where it happens and is never
corrected later, so that the numbers can prove that nothing stays open. `AllCounters.wait_until`
waits for a number without polling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import trio

from cucmlab.answers import LabMember
from cucmlab.captures import FOLDER, LARGEST, LOCATION, CaptureArguments, LabCapture, Traffic
from cucmlab.faults import FaultKind, FaultPlan
from cucmlab.files import VirtualFile, blocks, files_of
from cucmlab.options import LabOptions

_USED = 61.0
_LONG_AGO = datetime.fromtimestamp(0, UTC)


class LabNode:
    """Represents node number `index` (from 1). `members` is its cluster, this node included."""

    def __init__(
        self, index: int, options: LabOptions, members: Sequence[LabMember], counters: AllCounters
    ) -> None:
        self._counters = counters
        self.index = index
        self.options = options
        self.members = members
        self.plan = FaultPlan(options.faults, index, partial(self.count, "faults_used"))
        low = self.plan.take(FaultKind.LOW_SPACE)
        self.percent_used = _USED if low is None else low.number  # of the partition for logs
        self.refused_logins = 0
        # (host, port) -> fingerprint. A node remembers receivers, and stalls if the key changes.
        self.known_receivers: dict[tuple[str, int], str] = {}
        self._captures: dict[str, LabCapture] = {}  # by path; only those whose files still exist
        self._removed: set[tuple[str, str]] = set()  # location, path
        self._clock_offset = timedelta()
        self._last_stamp = _LONG_AGO

    @property
    def member(self) -> LabMember:
        return self.members[self.index - 1]

    @property
    def counters(self) -> LabCounters:
        return self._counters.nodes[self.index - 1]

    def count(self, name: str, by: int = 1) -> None:
        """Adds to one of this node's counters."""
        self._counters.count(self.index - 1, name, by)

    def begin_capture(self, wanted: CaptureArguments, fault: FaultKind | None) -> LabCapture:
        """Begins a capture. Adds a number to the name of its file if the name is in use."""
        number = ""
        while (path := f"{FOLDER}/{wanted.file}{number}.cap") in self._captures:
            number = str(int(number or 0) + 1)
        size, rate = wanted.size or LARGEST, self.options.packets
        traffic = Traffic(self.member.address, rate, wanted.host, wanted.port, size)
        self._captures[path] = LabCapture(path, wanted.count, traffic, fault)
        return self._captures[path]

    def files(self, location: str) -> list[VirtualFile]:
        """Returns the initial files and those of captures, without the files that were removed."""
        found = [*files_of(location, self.index, self.options)]
        if location == LOCATION:
            now = datetime.now(UTC)
            found += filter(None, (capture.file(now) for capture in self._captures.values()))
        return [file for file in found if (location, file.path) not in self._removed]

    def blocks(self, location: str, file: VirtualFile) -> Iterator[bytes]:
        """Returns the content of a file as it was when `files` returned it, in blocks of 32 KiB."""
        capture = self._captures.get(file.path) if location == LOCATION else None
        if capture is None:
            return blocks(self.index, file.path, file.size)
        return capture.blocks(file.size)

    def remove(self, location: str, path: str) -> bool:
        """Removes a file. Returns False if a capture still writes to it; then it stays."""
        capture = self._captures.get(path) if location == LOCATION else None
        if capture is None:
            self._removed.add((location, path))
        elif capture.packets is None:
            return False
        else:
            del self._captures[path]
        self.count("files_deleted")
        return True

    def now(self) -> datetime:
        """Returns the time by the clock of the node."""
        return datetime.now(UTC) + self._clock_offset

    def move_clock(self, by: timedelta) -> None:
        """Sets the node's clock forward or back."""
        self._clock_offset += by
        self._last_stamp = _LONG_AGO

    def next_stamp(self) -> str:
        """Returns a name for the next push's folder: the node's time, or later if that is used."""
        now = self.now().replace(microsecond=0)
        self._last_stamp = max(now, self._last_stamp + timedelta(seconds=1))
        return f"{self._last_stamp.astimezone(self.options.timezone):%Y-%m-%d_%H-%M-%S}"


class LabCounters(msgspec.Struct):
    """Counts events of one node, or of all nodes.

    Names with `_now` count what is open at this moment; all others count since the lab began.
    """

    connections_now: int = 0  # TCP connections accepted and not yet closed
    connections_ever: int = 0
    logins: int = 0
    logins_refused: int = 0
    sessions_now: int = 0  # terminals
    sessions_most: int = 0  # terminals open at once on one node, at most
    closed_cleanly: int = 0  # closed by the client with an SSH disconnect, or before the login
    dropped: int = 0  # closed by the client in any other way
    cut_by_node: int = 0  # closed by the node itself: a fault, or the end of the lab
    commands: int = 0
    interrupts: int = 0  # Ctrl-C received
    captures_now: int = 0  # packet captures that run
    captures_ever: int = 0
    files_deleted: int = 0  # by `file delete`
    pushes_now: int = 0  # SFTP connections to receivers
    pushes_ever: int = 0  # only pushes to a download directory that exists
    pushes_refused: int = 0  # by the node, because the receiver's host key has changed
    files_pushed: int = 0  # closed by the node after the last byte
    bytes_pushed: int = 0
    faults_used: int = 0  # how often a fault had its effect
    defects: int = 0  # exceptions in the lab itself: always 0, unless the lab has a bug

    def add(self, other: LabCounters) -> None:
        for name in self.__struct_fields__:
            value = getattr(other, name)
            mine = getattr(self, name)
            most = name == "sessions_most"
            setattr(self, name, max(mine, value) if most else mine + value)


class AllCounters:
    """Holds the counters of all nodes, and waits until they change."""

    def __init__(self, nodes: int) -> None:
        self.nodes = [LabCounters() for _ in range(nodes)]
        self._watchers = trio.lowlevel.ParkingLot()

    def total(self) -> LabCounters:
        total = LabCounters()
        for node in self.nodes:
            total.add(node)
        return total

    def count(self, node: int, name: str, by: int = 1) -> None:
        """Adds to a counter of node `node` (from 0)."""
        counters = self.nodes[node]
        setattr(counters, name, getattr(counters, name) + by)
        if name == "sessions_now":
            counters.sessions_most = max(counters.sessions_most, counters.sessions_now)
        self._watchers.unpark_all()

    async def wait_until(self, condition: Callable[[LabCounters], bool]) -> LabCounters:
        """Waits until the totals meet the condition; returns them. The caller limits the time."""
        while not condition(total := self.total()):
            await self._watchers.park()
        return total
