"""The SQL of what nodes have said of their clusters.

It is written with the end of the node that was asked, in one transaction, and stays when the job is
deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

import msgspec

from cucmd.job.discover import Found
from cucmd.job.node import Node, Succeeded
from cucmd.store.rows import moment_text, node_text

# Each is of another node. More clusters than a company has, and all of them are read at once.
MOST = 300

# The time is a node's end. Where two jobs ask the same node, the one that ended last counts.
_UPSERT = """
INSERT INTO discovery (asked, found_at, detail) VALUES (?, ?, ?)
ON CONFLICT (asked) DO UPDATE SET found_at = excluded.found_at, detail = excluded.detail
WHERE excluded.found_at >= discovery.found_at"""
_DROP_OLDEST = """
DELETE FROM discovery WHERE asked IN (
    SELECT asked FROM discovery ORDER BY found_at DESC LIMIT -1 OFFSET ?)"""
_ALL = "SELECT asked, detail FROM discovery ORDER BY found_at DESC, asked"
_ASKED = "SELECT asked FROM discovery ORDER BY found_at DESC, asked"
_ONE = "SELECT asked, detail FROM discovery WHERE asked = ?"


class Discovery(msgspec.Struct, frozen=True):
    """What the node `asked` has said of its cluster, and when."""

    asked: str
    found_at: datetime
    job_id: str
    found: Found


def remember(connection: sqlite3.Connection, job_id: str, nodes: Iterable[Node]) -> None:
    """Keeps what these nodes have said, if they have succeeded and were asked."""
    for node in nodes:
        if isinstance(node.result, Found) and isinstance(node.state, Succeeded):
            ended = node.state.completed_at
            said = Discovery(node.node, ended, job_id, node.result)
            detail = msgspec.json.encode(said).decode()
            connection.execute(_UPSERT, (node_text(node.node), moment_text(ended), detail))
            connection.execute(_DROP_OLDEST, (MOST,))


def select_all(connection: sqlite3.Connection) -> tuple[list[Discovery], list[str]]:
    """(discoveries, messages about those that cannot be read), the newest first."""
    return _read(connection.execute(_ALL).fetchall())


def select_asked(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The nodes, each in one spelling, the one that was asked last first."""
    return tuple(asked for (asked,) in connection.execute(_ASKED))


def select_one(connection: sqlite3.Connection, asked: str) -> tuple[list[Discovery], list[str]]:
    """As `select_all`, of one node, spelled as `select_asked` has it."""
    return _read(connection.execute(_ONE, (asked,)).fetchall())


def _read(rows: Iterable[tuple[str, str]]) -> tuple[list[Discovery], list[str]]:
    found: list[Discovery] = []
    problems: list[str] = []
    for asked, detail in rows:
        try:
            found.append(msgspec.json.decode(detail, type=Discovery))
        except msgspec.MsgspecError as error:
            problems.append(f"what {asked} has said of its cluster cannot be read: {error}")
    return found, problems
