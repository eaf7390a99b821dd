"""Turns the figures of the daemon into the text format of Prometheus, for `cucmctl metrics` and for
/metrics of `cucmweb`.

Names and units follow the conventions of Prometheus. What can be counted is listed even while its
count is 0. prometheus_client escapes label values; control characters become visible before that,
because people look at the text on terminals too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from cucmctl.cli.printer import visible
from cucmd.protocol.figures import FiguresReply

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Field of the reply -> metric, help. The name of a counter ends with _total.
_NUMBERS = {
    "files_received": ("cucmd_received_files_total", "Files that nodes have pushed."),
    "bytes_received": ("cucmd_received_bytes_total", "Bytes that nodes have pushed."),
    "node_connections": ("cucmd_node_connections", "Connections to nodes."),
    "node_connections_limit": (
        "cucmd_node_connections_limit",
        "The most connections to nodes (limits.connections).",
    ),
    "node_connections_wanted": (
        "cucmd_node_connections_wanted",
        "Nodes that wait because all connections are in use.",
    ),
    "receiver_connections": ("cucmd_receiver_connections", "Connections to the receiver."),
    "socket_connections": ("cucmd_socket_connections", "Connections to the daemon's socket."),
    "worker_restarts": (
        "cucmd_worker_restarts_total",
        "Restarts of the server that starts worker processes.",
    ),
    "free_bytes": ("cucmd_free_bytes", "Free bytes on the disk of the state directory."),
    "kept_free_bytes": (
        "cucmd_kept_free_bytes",
        "Bytes of that disk that no file of a node may take.",
    ),
}
# Metric, help, label or "", and for each value of the label what the reply calls the durations.
_HISTOGRAMS: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    (
        "cucmd_phase_duration_seconds",
        "Completed phases of the work on nodes; of captures only connect and login.",
        "phase",
        {name: name for name in ("connect", "login", "command", "transfer")},
    ),
    (
        "cucmd_store_latency_seconds",
        "How long reads and writes of the database have taken, waiting included.",
        "operation",
        {"read": "store_read", "write": "store_write"},
    ),
    (
        "cucmd_event_loop_lag_seconds",
        "How late the event loop ran a task, measured each second.",
        "",
        {"": "event_loop_lag"},
    ),
)


def metrics_text(figures: FiguresReply | None) -> bytes:
    """Returns the metrics of the figures; without figures, that the daemon did not answer."""
    from prometheus_client import generate_latest  # noqa: PLC0415  it takes long to load

    collector: Any = Collector(figures)
    return generate_latest(collector)


class Collector:
    """Collects metrics for prometheus_client from figures."""

    def __init__(self, figures: FiguresReply | None) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import (  # noqa: PLC0415  as above
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        figures = self._figures
        says = "Whether the daemon has answered."
        yield _family("cucmd_up", says, (), [((), int(figures is not None))])
        if figures is None:
            return
        info = {"version": visible(figures.version), "python": visible(figures.python)}
        yield InfoMetricFamily("cucmd_build", "The versions of the daemon and of Python.", info)
        started = figures.started_at.timestamp()
        yield _family("cucmd_start_time_seconds", "When the daemon began.", (), [((), started)])
        for field, (name, says) in _NUMBERS.items():
            if (number := getattr(figures, field)) is not None:
                yield _family(name, says, (), [((), number)])
        for name, says, jobs in (
            ("cucmd_jobs", "Jobs that wait or run.", figures.jobs),
            ("cucmd_jobs_ended_total", "Jobs that have ended.", figures.jobs_ended),
        ):
            rows = [((one.kind, one.status), one.jobs) for one in jobs]
            yield _family(name, says, ("kind", "status"), rows)
        waiting = [((one.status,), one.nodes) for one in figures.nodes]
        yield _family("cucmd_nodes", "Nodes of these jobs, by state.", ("status",), waiting)
        has_names = any(one.node is not None for one in figures.nodes_ended)
        yield _family(
            "cucmd_nodes_ended_total",
            "How the work on nodes has ended, by status and code of the failure.",
            ("status", "failure", "node")[: 3 if has_names else 2],
            [
                (
                    (one.status, one.failure or "", one.node or "")[: 3 if has_names else 2],
                    one.nodes,
                )
                for one in figures.nodes_ended
            ],
        )
        seen = {one.of: one for one in figures.durations}
        for name, says, label, values in _HISTOGRAMS:
            family = HistogramMetricFamily(name, says, labels=[label] if label else [])
            for value, of in values.items():
                if (one := seen.get(of)) is not None:
                    bounds = [*map(str, one.bounds), "+Inf"]
                    buckets = list(zip(bounds, accumulate(one.counts), strict=True))
                    family.add_metric([value] if label else [], buckets, one.total)
            yield family


def _family(
    name: str, says: str, labels: Iterable[str], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Any:
    """Returns a counter or a gauge: rows have the values of the labels, and the number."""
    from prometheus_client.core import (  # noqa: PLC0415  as above
        CounterMetricFamily,
        GaugeMetricFamily,
    )

    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(name, says, labels=list(labels))
    for values, number in rows:
        family.add_metric([*map(visible, values)], number)
    return family
