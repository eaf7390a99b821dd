"""Figures as a daemon sends them, for tests that have no daemon."""

from datetime import UTC, datetime

from cucmd.protocol.figures import DurationFigure, FiguresReply, JobFigure, NodeFigure

STARTED = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NAMES = ("connect", "login", "command", "transfer", "store_read", "store_write", "event_loop_lag")


def made_figures(*ends: NodeFigure, **fields: object) -> FiguresReply:
    """Returns figures in which everything is there, and nodes have ended as `ends` says."""
    values: dict[str, object] = {
        "version": "0.2.0",
        "python": "3.13.5",
        "started_at": STARTED,
        "jobs": (JobFigure("collect", "running", 1), JobFigure("collect", "queued", 0)),
        "jobs_ended": (JobFigure("collect", "failed", 2),),
        "nodes": (NodeFigure("running", 3),),
        "nodes_ended": ends or (NodeFigure("succeeded", 7), NodeFigure("failed", 2, "stalled")),
        "durations": tuple(DurationFigure(of, (0.1, 1.0), (3, 2, 1), 4.5) for of in NAMES),
        "files_received": 12,
        "bytes_received": 45_600_000,
        "node_connections": 3,
        "node_connections_limit": 200,
        "node_connections_wanted": 0,
        "receiver_connections": 2,
        "socket_connections": 1,
        "worker_restarts": 0,
        "free_bytes": 120_400_000_000,
        "kept_free_bytes": 1_000_000_000,
        **fields,
    }
    return FiguresReply(**values)
