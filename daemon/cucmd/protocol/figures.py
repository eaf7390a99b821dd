"""Declares the request and the reply of `Figures`, from which monitoring gets its metrics."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from cucmd.job.request import Request


class FiguresRequest(Request, frozen=True):
    """Show figures about the daemon for monitoring. Counts begin at 0 when the daemon starts, at
    started_at, and only grow. The reply does not depend on the store, so it comes even if the disk
    hangs. cucmctl metrics prints the reply in the text format of Prometheus.
    """

    # The members of nodes_ended have the names of nodes.
    per_node: bool | None = None


class JobFigure(Struct, frozen=True):
    """The number of jobs of a kind that have a status."""

    kind: str
    status: str
    jobs: int


class NodeFigure(Struct, frozen=True):
    """The number of times that nodes had a status. failure is the code of the failure if they have
    failed. node is the name of the node in the request, if names are wanted: after the first 5000
    names and ends, nodes with new names are counted together without a name.
    """

    status: str
    nodes: int
    failure: str | None = None
    node: str | None = None


class DurationFigure(Struct, frozen=True):
    """A histogram of durations in seconds. of says what took so long: the phases "connect",
    "login", "command" and "transfer" of nodes, "store_write" and "store_read" for what waited for
    the database, and "event_loop_lag". counts has how many durations were at most as long as each
    of the bounds and longer than the bound before, and at its end how many were longer than the
    last bound. total is the sum of all durations.
    """

    of: str
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class FiguresReply(Struct, frozen=True):
    """jobs and nodes wait or run now; jobs_ended and nodes_ended have ended since the start."""

    version: str
    python: str
    started_at: datetime
    jobs: tuple[JobFigure, ...]
    jobs_ended: tuple[JobFigure, ...]
    nodes: tuple[NodeFigure, ...]
    nodes_ended: tuple[NodeFigure, ...]
    durations: tuple[DurationFigure, ...]
    # Files and bytes that nodes have pushed to the receiver.
    files_received: int
    bytes_received: int
    # Connections to nodes, the limit for them, and how many nodes wait for one.
    node_connections: int
    node_connections_limit: int
    node_connections_wanted: int
    # Connections of nodes, and of strangers, to the receiver.
    receiver_connections: int
    # How often the server that starts the workers has ended and was started again.
    worker_restarts: int
    # Free bytes on the disk of the state directory, and how many of them no file may take. Absent
    # if the disk does not answer.
    free_bytes: int | None = None
    kept_free_bytes: int | None = None
    # Connections of clients to the daemon's socket. Absent from older daemons.
    socket_connections: int | None = None
