"""The SQL of how fast nodes have sent their files.

It is written with the end of the node, in one transaction, and stays when the job is deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from cucmd.job.collect import Collect
from cucmd.job.node import Node, Succeeded
from cucmd.job.work import Work
from cucmd.store.rows import moment_text, node_text

# Nodes: three times those of the largest job.
MOST = 3000
# In each transfer is the login at the receiver, measured 0.3 s on loopback: of a transfer of 1 MB
# nearly all, of one of 10 MB on a line of 10 MB/s a quarter.
LEAST_BYTES = 10_000_000

_UPSERT = """
INSERT INTO rate (node, seen_at, bytes, seconds) VALUES (?, ?, ?, ?)
ON CONFLICT (node) DO UPDATE SET
    seen_at = excluded.seen_at, bytes = excluded.bytes, seconds = excluded.seconds
WHERE excluded.seen_at >= rate.seen_at"""
_DROP_OLDEST = """
DELETE FROM rate WHERE node IN (
    SELECT node FROM rate ORDER BY seen_at DESC LIMIT -1 OFFSET ?)"""
_SELECT = "SELECT bytes / seconds FROM rate WHERE node = ? AND seconds > 0"


def remember(connection: sqlite3.Connection, work: Work, nodes: Iterable[Node]) -> None:
    """Keeps how fast these nodes have sent their files, of those that have succeeded.

    Not where they packed them: that takes time of its own, and other sizes were announced.
    """
    if not isinstance(work, Collect) or work.compress:
        return
    rows = [
        (node_text(node.node), moment_text(node.state.completed_at), size, node.transfer_seconds)
        for node in nodes
        if isinstance(node.state, Succeeded)
        and (size := node.bytes_received) >= LEAST_BYTES
        and node.transfer_seconds > 0
    ]
    if rows:
        connection.executemany(_UPSERT, rows)
        connection.execute(_DROP_OLDEST, (MOST,))


def select(connection: sqlite3.Connection, node: str) -> float | None:
    """Bytes per second."""
    row = connection.execute(_SELECT, (node_text(node),)).fetchone()
    return None if row is None else float(row[0])
