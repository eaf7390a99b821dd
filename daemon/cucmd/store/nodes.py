"""Has the SQL of what is known of nodes: what they have said of their clusters, how fast they send.

It is written with the end of a node, in one transaction, and stays when the job is deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from cucmd.job.collect import Collect
from cucmd.job.discover import Found
from cucmd.job.job import Job
from cucmd.job.node import Node, Succeeded
from cucmd.store.rows import moment_text, node_text
from cucmd.store.unreadable import left_out

# Discoveries, each of another node. More clusters than a company has, and all are read at once.
MOST_DISCOVERIES = 300
# Rates, each of another node: three times those of the largest job.
MOST_RATES = 3000
# In each transfer is the login at the receiver, measured 0.3 s on loopback: of a transfer of 1 MB
# nearly all, of one of 10 MB on a line of 10 MB/s a quarter.
LEAST_BYTES = 10_000_000

# The time is a node's end. Where two jobs ask the same node, the one that ended last counts.
_UPSERT_DISCOVERY = """
INSERT INTO discovery (asked, found_at, detail) VALUES (?, ?, ?)
ON CONFLICT (asked) DO UPDATE SET found_at = excluded.found_at, detail = excluded.detail
WHERE excluded.found_at >= discovery.found_at"""
_DROP_OLDEST_DISCOVERIES = """
DELETE FROM discovery WHERE asked IN (
    SELECT asked FROM discovery ORDER BY found_at DESC LIMIT -1 OFFSET ?)"""
_DISCOVERIES = "SELECT asked, detail FROM discovery ORDER BY found_at DESC, asked"

_UPSERT_RATE = """
INSERT INTO rate (node, seen_at, bytes, seconds) VALUES (?, ?, ?, ?)
ON CONFLICT (node) DO UPDATE SET
    seen_at = excluded.seen_at, bytes = excluded.bytes, seconds = excluded.seconds
WHERE excluded.seen_at >= rate.seen_at"""
_DROP_OLDEST_RATES = """
DELETE FROM rate WHERE node IN (
    SELECT node FROM rate ORDER BY seen_at DESC LIMIT -1 OFFSET ?)"""
_RATE = "SELECT bytes / seconds FROM rate WHERE node = ? AND seconds > 0"


class StoredDiscovery(msgspec.Struct, frozen=True):
    """Holds what the node `asked` has said of its cluster, and when."""

    asked: str
    found_at: datetime
    job_id: str
    found: Found


_discoveries = msgspec.json.Decoder(StoredDiscovery)  # made here: see rows.py


def remember(connection: sqlite3.Connection, job: Job, nodes: Sequence[Node]) -> None:
    """Keeps what these nodes of the job have shown, of those that have succeeded."""
    ended = [(node, node.state.completed_at) for node in nodes if isinstance(node.state, Succeeded)]
    for node, at in ended:
        if isinstance(node.result, Found):
            said = StoredDiscovery(node.node, at, job.job_id, node.result)
            detail = msgspec.json.encode(said).decode()
            values = (node_text(node.node), moment_text(at), detail)
            connection.execute(_UPSERT_DISCOVERY, values)
            connection.execute(_DROP_OLDEST_DISCOVERIES, (MOST_DISCOVERIES,))
    # Not of a job for which they pack: that takes time of its own, and other sizes were announced.
    if isinstance(job.work, Collect) and not job.work.compress:
        rates = [
            (node_text(node.node), moment_text(at), node.bytes_received, node.transfer_seconds)
            for node, at in ended
            if node.bytes_received >= LEAST_BYTES and node.transfer_seconds > 0
        ]
        if rates:
            connection.executemany(_UPSERT_RATE, rates)
            connection.execute(_DROP_OLDEST_RATES, (MOST_RATES,))


def select_discoveries(connection: sqlite3.Connection) -> tuple[StoredDiscovery, ...]:
    """Returns the discoveries, the newest first."""
    found: list[StoredDiscovery] = []
    for asked, detail in connection.execute(_DISCOVERIES).fetchall():
        with left_out(f"what {asked} has said of its cluster"):
            found.append(_discoveries.decode(detail))
    return tuple(found)


def select_rate(connection: sqlite3.Connection, node: str) -> float | None:
    """Returns the bytes per second at which its files came last."""
    row = connection.execute(_RATE, (node_text(node),)).fetchone()
    return None if row is None else float(row[0])
