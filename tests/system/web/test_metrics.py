"""/metrics of `cucmweb`: who may read it, what an error is, and a real Prometheus that scrapes."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmweb.token_file import add
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import Lab, free_port
from rig.pages import ROOT
from rig.process import die_with_parent
from rig.quiet import wait_until
from rig.web import Web, running_web

SPEAKS = f'[access]\nmay_speak_for = ["{os.geteuid()}"]\n'
OPEN = "[metrics]\nopen = true\nper_node = true\n"
ALERTS = ROOT / "systemd/cucmd-alerts.yml"


def test_viewers_get_metrics_by_token(
    make_daemon: Callable[..., Daemon], make_web: Callable[..., Web], tmp_path: Path
) -> None:
    web = make_web(make_daemon(SPEAKS))
    token = add(tmp_path / "web/tokens.toml", "prometheus", "view", None)
    answer = web.ask("GET", "/metrics", headers={"authorization": f"Bearer {token}"})
    assert (answer.status, answer.headers["content-type"][:25]) == (
        200,
        "text/plain; version=0.0.4",
    )
    assert b"\ncucmd_up 1.0\n" in answer.body
    refused = web.ask("GET", "/metrics", headers={"authorization": "Bearer cucmweb_x"})
    assert (refused.status, refused.json()["code"]) == (401, "NotLetIn")


def test_open_metrics_need_no_token(
    tmp_path: Path, make_lab: Callable[..., Lab], daemon: Daemon
) -> None:
    lab = make_lab(1)
    with daemon.client() as client:
        client.wait(start(client, lab).job_id)
    with running_web(tmp_path / "web", daemon.socket, OPEN) as web:
        anybody = {"host": "monitored.example.org", "authorization": "Bearer wrong"}
        answer = web.ask("GET", "/metrics", headers=anybody)
        assert answer.status == 200
        assert f'node="{lab.nodes[0]}"' in answer.body.decode()
        assert web.ask("GET", "/jobs", headers=anybody).status == 403


def test_daemon_away_is_unavailable(tmp_path: Path) -> None:
    with running_web(tmp_path / "web", tmp_path / "no-daemon") as web:
        answer = web.ask("GET", "/metrics")
        assert (answer.status, answer.json()["code"]) == (503, "DaemonUnavailable")


class Prometheus:
    """Asks a Prometheus at a port of loopback."""

    def __init__(self, port: str) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **query: str) -> object:
        """Returns the data of a reply, or None while the server does not answer."""
        try:
            with urllib.request.urlopen(
                f"{self._base}/{path}?{urllib.parse.urlencode(query)}", timeout=10
            ) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def value(self, query: str) -> float | None:
        """Returns the sum of the time series, or None if there are none."""
        found = self.get("query", query=f"sum({query})")
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def alerts(self) -> set[str]:
        return {
            one["labels"]["alertname"] for one in (self.get("alerts") or {"alerts": ()})["alerts"]
        }


@contextmanager
def running_prometheus(folder: Path, target: str, token: str) -> Iterator[Prometheus]:
    """Scrapes the target each second, with the alert rules of the project."""
    folder.mkdir()
    (folder / "token").write_text(token)
    (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{ALERTS}"]
scrape_configs:
  - job_name: cucmd
    authorization: {{credentials_file: {folder}/token}}
    static_configs: [{{targets: ["{target}"]}}]
""")
    port = free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_prometheus_scrapes_all_metrics(tmp_path: Path, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(2)
    token = add(tmp_path / "web/tokens.toml", "prometheus", "view", None)
    with running_daemon(tmp_path / "cucmd", CONFIG + SPEAKS) as daemon:
        with daemon.client() as client:
            client.wait(start(client, lab).job_id)
        with (
            running_web(tmp_path / "web", daemon.socket, tcp=True) as web,
            running_prometheus(tmp_path / "p", f"127.0.0.1:{web.port}", token) as prometheus,
        ):
            wait_until(lambda: prometheus.value('up{job="cucmd"}') == 1, within=120)
            lines = daemon.ctl("metrics").stdout.splitlines()
            shown = {line.replace("{", " ").split()[0] for line in lines if line[0] != "#"}
            wait_until(lambda: shown <= set(prometheus.get("label/__name__/values") or ()), 120)
            ended = prometheus.value('cucmd_nodes_ended_total{status="succeeded"}')
            assert ended == len(lab.nodes)
            assert prometheus.value('cucmd_nodes_ended_total{node!=""}') is None
            rules = prometheus.get("rules")["groups"][0]["rules"]
            assert [rule["name"] for rule in rules if rule.get("lastError")] == []
            # A minute of scrapes. On a busy machine a scrape may come too late, and fail.
            up = 'sum_over_time(up{job="cucmd"}[10m])'
            wait_until(lambda: (prometheus.value(up) or 0) >= 60, within=200)
            wait_until(lambda: "CucmdDown" not in prometheus.alerts(), within=60)
            daemon.stop()
            wait_until(lambda: "CucmdDown" in prometheus.alerts(), within=120)
