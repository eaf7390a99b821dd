"""Figures as metrics of Prometheus. The text is read with the parser of prometheus_client."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cucmctl.text.metrics import metrics_text
from cucmd.protocol.figures import DurationFigure, FiguresReply, NodeFigure
from rig.figures import made_figures

ROOT = Path(__file__).parents[3]
ALERTS = (ROOT / "systemd/cucmd-alerts.yml").read_text()
DASHBOARD = (ROOT / "systemd/cucmd-dashboard.json").read_text()
MANUAL = (ROOT / "daemon/man/cucmd.8.md").read_text()


def samples(figures: FiguresReply | None) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics_text(figures).decode()):
        for one in family.samples:
            found.setdefault(one.name, []).append((one.labels, one.value))
    return found


def test_every_figure_is_a_metric() -> None:
    found = samples(made_figures())
    assert found["cucmd_build_info"] == [({"version": "0.2.0", "python": "3.13.5"}, 1)]
    assert found["cucmd_jobs"][0] == ({"kind": "collect", "status": "running"}, 1)
    assert found["cucmd_jobs_ended_total"] == [({"kind": "collect", "status": "failed"}, 2)]
    assert found["cucmd_nodes_ended_total"][1] == ({"status": "failed", "failure": "stalled"}, 2)
    assert found["cucmd_received_bytes_total"] == [({}, 45_600_000)]
    assert found["cucmd_start_time_seconds"] == [({}, 1764072000 + 365 * 86400)]


def test_buckets_are_cumulative() -> None:
    found = samples(made_figures())
    lag = [(labels["le"], value) for labels, value in found["cucmd_event_loop_lag_seconds_bucket"]]
    assert lag == [("0.1", 3), ("1.0", 5), ("+Inf", 6)]
    assert found["cucmd_event_loop_lag_seconds_sum"] == [({}, 4.5)]


def test_daemon_that_does_not_answer() -> None:
    assert samples(None) == {"cucmd_up": [({}, 0)]}


def test_unknown_free_space_is_left_out() -> None:
    assert "cucmd_free_bytes" not in samples(made_figures(free_bytes=None))


def test_later_durations_are_left_out() -> None:
    later = DurationFigure("of a later daemon", (1.0,), (1, 0), 0.5)
    assert "cucmd_store_latency_seconds_sum" not in samples(made_figures(durations=(later,)))


def test_names_of_nodes_are_a_label() -> None:
    found = samples(made_figures(NodeFigure("succeeded", 2, node="a"), NodeFigure("succeeded", 1)))
    names = [labels["node"] for labels, _ in found["cucmd_nodes_ended_total"]]
    assert names == ["a", ""]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('a"} 1\ncucmd_up 0', 'a"} 1\\ncucmd_up 0'),
        ("back\\slash", "back\\slash"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("Zürich", "Zürich"),
    ],
)
def test_hostile_names_stay_labels(name: str, shown: str) -> None:
    found = samples(made_figures(NodeFigure("failed", 1, name, name)))
    (labels, _value), up = found["cucmd_nodes_ended_total"][0], found["cucmd_up"]
    assert (labels["node"], labels["failure"], up) == (shown, shown, [({}, 1)])
    assert all(line.isprintable() for line in metrics_text(made_figures()).decode().splitlines())


@pytest.mark.parametrize("text", [ALERTS, DASHBOARD, MANUAL], ids=["alerts", "dashboard", "page"])
def test_used_metrics_exist(text: str) -> None:
    families = {name.removesuffix("_bucket") for name in samples(made_figures())}
    used = {name.removesuffix("_bucket") for name in re.findall(r"\bcucmd_[a-z_]+", text)}
    assert used - families == set()


def test_page_describes_every_metric() -> None:
    families = text_string_to_metric_families(metrics_text(made_figures()).decode())
    assert [one.name for one in families if f"`{one.name}" not in MANUAL] == []


def test_dashboard_has_a_query_in_each_panel() -> None:
    panels = json.loads(DASHBOARD)["panels"]
    assert all(target["expr"] for panel in panels for target in panel["targets"])
    assert len({panel["id"] for panel in panels}) == len(panels)
