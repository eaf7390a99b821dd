"""Runs the SQL of discoveries, which are the answers of nodes about their clusters, and finds the
jobs whose nodes they may describe.

A discovery is written in the transaction that writes the end of its node. It stays when the job is
deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from cucmd.job.discover import Found
from cucmd.job.job import Job
from cucmd.job.node import Node, Succeeded
from cucmd.store.rows import format_time, normalize_node
from cucmd.store.unreadable import skip_unreadable

# How many discoveries are kept, one for each node that was asked. No company has more clusters, and
# all discoveries are read into memory together.
MOST_DISCOVERIES = 300

# `found_at` is the end of the node's work. If two jobs asked the same node, the later end counts.
_UPSERT_DISCOVERY = """
INSERT INTO discovery (asked, found_at, detail) VALUES (?, ?, ?)
ON CONFLICT (asked) DO UPDATE SET found_at = excluded.found_at, detail = excluded.detail
WHERE excluded.found_at >= discovery.found_at"""
# SQLite takes OFFSET only after LIMIT, and -1 is no limit.
_DROP_OLDEST_DISCOVERIES = """
DELETE FROM discovery WHERE asked IN (
    SELECT asked FROM discovery ORDER BY found_at DESC LIMIT -1 OFFSET ?)"""
_DISCOVERIES = "SELECT asked, detail FROM discovery ORDER BY found_at DESC, asked"

# The names by which jobs are found include those of all nodes, and have an index.
TARGET_NAMES = "SELECT DISTINCT name FROM target ORDER BY name"
UNDESCRIBED = """
SELECT job_id FROM job WHERE position IN (
    SELECT node.job FROM target JOIN node ON node.job = target.job AND node.name = target.name
    WHERE target.name IN (SELECT value FROM json_each(?))
        AND CASE WHEN json_valid(detail) THEN json_extract(detail, '$.role') IS NULL END)
ORDER BY position DESC"""


class StoredDiscovery(msgspec.Struct, frozen=True):
    """Holds what the node `asked` told about its cluster, and when."""

    asked: str
    found_at: datetime
    job_id: str
    found: Found


_discoveries = msgspec.json.Decoder(StoredDiscovery)  # made on import: see rows.py


def save_discoveries(connection: sqlite3.Connection, job: Job, nodes: Sequence[Node]) -> bool:
    """Stores the discoveries of those nodes of the job that have succeeded.

    Returns whether there were any.
    """
    saved = False
    for node in nodes:
        if isinstance(node.state, Succeeded) and isinstance(node.result, Found):
            at = node.state.completed_at
            discovery = StoredDiscovery(node.node, at, job.job_id, node.result)
            detail = msgspec.json.encode(discovery).decode()
            values = (normalize_node(node.node), format_time(at), detail)
            connection.execute(_UPSERT_DISCOVERY, values)
            connection.execute(_DROP_OLDEST_DISCOVERIES, (MOST_DISCOVERIES,))
            saved = True
    return saved


def select_discoveries(connection: sqlite3.Connection) -> tuple[StoredDiscovery, ...]:
    found: list[StoredDiscovery] = []
    for asked, detail in connection.execute(_DISCOVERIES).fetchall():
        with skip_unreadable(f"the discovery of {asked}"):
            found.append(_discoveries.decode(detail))
    return tuple(found)
