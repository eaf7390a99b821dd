"""What a job has found is shown as tables and sentences, for each kind of work."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from cucmctl import Client
from cucmd.job.work_request import Login, Packets
from cucmd.protocol.jobs import Job
from rig.browser import Tabs
from rig.daemon import Daemon
from rig.lab import Lab, free_port, running_lab

pytestmark = pytest.mark.long

Open = Callable[[Callable[[Client, Login], Job]], Any]


@pytest.fixture
def lab(stack: ExitStack) -> Lab:
    """Two nodes at one port, as real nodes have it. The second is bad."""
    return stack.enter_context(running_lab(2, "--port", free_port(), "--fault", "2=low-space"))


@pytest.fixture
def open_job(sign_in: Callable[..., Tabs], page_daemon: Daemon, lab: Lab) -> Open:
    """Starts a job, waits for its end, and opens its view."""

    def make(start: Callable[[Client, Login], Job]) -> Any:
        with page_daemon.client() as client:
            job = start(client, Login(lab.username, lab.password))
            client.wait(job.job_id)
        return sign_in().open(f"/ui/jobs/{job.job_id}")

    return make


def result(tab: Any) -> Any:
    return tab.locator("table.result")


def test_health_is_a_verdict_with_checks(open_job: Open, lab: Lab) -> None:
    tab = open_job(lambda client, login: client.health(lab.nodes, login=login))
    tab.get_by_text("health of 2 nodes: 1 bad, 1 good").wait_for()
    checks, wrong = result(tab).all()
    for node, verdict, disk in zip(lab.nodes, ("good", "bad"), ("good", "bad"), strict=True):
        row = checks.get_by_role("row").filter(has_text=node)
        assert row.locator("[data-is=Verdict]").inner_text() == verdict
        assert row.locator("[data-is=Disk]").inner_text() == disk
    assert wrong.locator("[data-is=Check]").all_inner_texts() == ["disk"]


def test_discovery_leads_to_a_collection(open_job: Open, lab: Lab) -> None:
    tab = open_job(lambda client, login: client.discover(lab.nodes[0], login=login))
    assert result(tab).locator("[data-is=Node]").all_inner_texts() == lab.nodes
    tab.get_by_role("link", name="Collect from these nodes").click()
    assert tab.get_by_label("Nodes or cluster").input_value() == " ".join(lab.nodes)


def test_capture_has_its_packets(open_job: Open, lab: Lab) -> None:
    packets = Packets(count=20, duration=5)
    tab = open_job(lambda client, login: client.capture(lab.nodes[:1], packets, login=login))
    assert int(result(tab).locator("[data-is=Packets]").inner_text()) > 0


def test_output_is_shown_by_command(open_job: Open, lab: Lab) -> None:
    commands = ["show version active", "show status"]
    tab = open_job(lambda client, login: client.run(lab.nodes[:1], commands, login=login))
    tab.get_by_role("link", name="Output").click()
    shown = tab.get_by_role("region").all()
    assert [
        command in region.get_attribute("aria-label")
        for command, region in zip(commands, shown, strict=True)
    ] == [True, True]
