"""What was seen on the nodes' side: connections, logins, files pushed, how sessions ended.

Everything is counted where it happens and never corrected later, so that these numbers can prove
that nothing stays open. `until` waits for a number without polling.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio


class Counters(msgspec.Struct):
    """Of one node, or of all. `_now`: open at this moment. The others: since the lab began."""

    connections_now: int = 0  # TCP connections accepted and not yet closed
    connections_ever: int = 0
    logins: int = 0
    logins_refused: int = 0
    sessions_now: int = 0  # terminals
    sessions_most: int = 0  # terminals open at once on one node, at most
    closed_cleanly: int = 0  # closed by the client with an SSH disconnect, or before the login
    dropped: int = 0  # closed by the client in any other way
    cut_by_node: int = 0  # closed by the node itself: a fault, or the end of the lab
    inputs_closed: int = 0  # terminals whose input the client closed, or which it quit
    commands: int = 0
    interrupts: int = 0  # Ctrl-C received
    captures_now: int = 0  # packet captures that run
    captures_ever: int = 0
    files_deleted: int = 0  # by `file delete`
    pushes_now: int = 0  # SFTP connections to receivers
    pushes_ever: int = 0  # those whose download directory was there
    pushes_refused: int = 0  # by the node: the receiver's host key is not the known one
    files_pushed: int = 0  # closed by the node after the last byte
    bytes_pushed: int = 0
    faults_used: int = 0  # how often a fault had its effect
    defects: int = 0  # exceptions in the lab itself: always 0, unless the lab has a bug

    def add(self, other: Counters) -> None:
        for name in self.__struct_fields__:
            value = getattr(other, name)
            mine = getattr(self, name)
            most = name == "sessions_most"
            setattr(self, name, max(mine, value) if most else mine + value)


class AllCounters:
    """The counters of all nodes, and a way to wait until they change."""

    def __init__(self, nodes: int) -> None:
        self.nodes = [Counters() for _ in range(nodes)]
        self._watchers = trio.lowlevel.ParkingLot()

    def total(self) -> Counters:
        total = Counters()
        for node in self.nodes:
            total.add(node)
        return total

    def count(self, node: int, name: str, by: int = 1) -> None:
        """Add to a counter of node `node` (from 0)."""
        counters = self.nodes[node]
        setattr(counters, name, getattr(counters, name) + by)
        if name == "sessions_now":
            counters.sessions_most = max(counters.sessions_most, counters.sessions_now)
        self._watchers.unpark_all()

    async def until(self, condition: Callable[[Counters], bool]) -> Counters:
        """The totals, once they meet the condition. The caller's scope limits the wait."""
        while not condition(total := self.total()):
            await self._watchers.park()
        return total
