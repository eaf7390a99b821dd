"""What the page draws of the health checks of a cluster."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from cucmd.job.work_request import Collection, Login
from rig.browser import Tabs
from rig.daemon import Daemon
from rig.lab import running_lab

pytestmark = pytest.mark.long

# A collection that ends with a health check.
PROFILE = """
[profiles.logs]
description = "logs"
paths = ["cm/trace/ccm/sdl"]
snapshot = "health"
"""


def test_figures_of_a_cluster_are_drawn(
    sign_in: Callable[..., Tabs], page_daemon: Daemon, stack: ExitStack
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    lab = stack.enter_context(running_lab(2, "--fault", "2=low-space"))
    config = page_daemon.folder / "cucmd.toml"
    nodes = ", ".join(f'"{node}"' for node in lab.nodes)
    config.write_text(f"{config.read_text()}[clusters.berlin]\nnodes = [{nodes}]\n{PROFILE}")
    with page_daemon.client() as client:
        client.reload()
        login, logs = Login(lab.username, lab.password), Collection(profile="logs", last="1h")
        client.wait(client.health(["berlin"], login=login).job_id)
        client.wait(client.collect(["berlin"], logs, login=login).job_id)
    tab = sign_in().open("/ui/clusters")
    tab.get_by_role("definition").get_by_text("2 nodes: 1 bad, 1 good").wait_for()
    assert tab.get_by_role("img").count() == 0, "only the view of one cluster has plots"
    tab.get_by_role("link", name="berlin", exact=True).click()
    disk = tab.get_by_role("row").filter(has_text=lab.nodes[1]).get_by_role("cell", name="bad")
    assert disk.get_by_role("img").count() == 1
    assert len((disk.locator("polyline").get_attribute("points") or "").split()) == 2
    tab.get_by_text("Figures as a table").click()
    found = Axe().run(tab).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
    tab.set_viewport_size({"width": 390, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
