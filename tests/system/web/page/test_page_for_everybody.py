"""The page with a keyboard, for assistive technology, and on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cucmctl import Client
from cucmd.job.work_request import Collection, How, Login
from rig.browser import Tabs
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.lab import Lab
from system.web.page.conftest import SPEAKS

pytestmark = pytest.mark.long

# Kept as build output, to be looked at.
PICTURES = Path(__file__).parents[4] / "build" / "pages"
VIEWS = (
    "/ui/",
    "/ui/jobs/{job}",
    "/ui/jobs/{health}",
    "/ui/jobs/{collected}",
    "/ui/jobs/{job}/retry",
    "/ui/jobs/{job}/files",
    "/ui/jobs/{job}/handover",
    "/ui/jobs/{job}/find?what=x",
    "/ui/jobs/{job}/output",
    "/ui/jobs/{job}/transcript?node={node}",
    "/ui/start",
    "/ui/clusters",
    "/ui/clusters/{node}",
)


@pytest.fixture
def jobs(page_daemon: Daemon, lab: Lab) -> dict[str, str]:
    """A health check and a collection, of a cluster that is known."""
    login, wanted = (
        Login(lab.username, lab.password),
        Collection(paths=("cm/trace/ccm/sdl",), last="2h"),
    )
    with Client(page_daemon.socket) as client:
        client.wait(client.discover(lab.nodes[0], login=login).job_id)
        health = client.health(lab.nodes[:1], login=login).job_id
        collected = client.collect(lab.nodes[:1], wanted, login=login).job_id
        client.wait(health)
        client.wait(collected)
    return {"health": health, "collected": collected}


@pytest.fixture
def job(page_daemon: Daemon, lab: Lab) -> str:
    """A job with a failed node."""
    login = Login(lab.username, "wrong")
    with Client(page_daemon.socket) as client:
        labels = How(labels={"case": "698123456"})
        wanted = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        started = client.collect(lab.nodes[:1], wanted, login=login, how=labels)
        client.wait(started.job_id)
    return started.job_id


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_excludes_anybody(
    sign_in: Callable[..., Tabs], jobs: dict[str, str], job: str, lab: Lab, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    window = sign_in(color_scheme=scheme)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for number, view in enumerate(VIEWS):
        address = view.format(job=job, node=lab.nodes[0], **jobs)
        tab = window.open(address)
        found = Axe().run(tab).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], address
        for width in (1440, 390):
            tab.set_viewport_size({"width": width, "height": 900})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, address
            tab.screenshot(path=PICTURES / f"{number}-{scheme}-{width}.png", full_page=True)
        tab.close()


def press_until(tab: Any, name: str, key: str = "Tab") -> None:
    """Presses a key until the element with this text has the focus."""
    for _ in range(60):
        tab.keyboard.press(key)
        text = tab.evaluate(
            "document.activeElement.labels?.[0]?.innerText || document.activeElement.innerText"
        )
        if (text or "").strip() == name:
            return
    raise AssertionError(f"the focus never reached {name!r}")


def test_job_by_keyboard_alone(sign_in: Callable[..., Tabs], lab: Lab) -> None:
    tab = sign_in().open("/ui/")
    press_until(tab, "Start")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/ui/start")
    for label, text in (
        ("Nodes or cluster", lab.nodes[1]),
        ("User", lab.username),
        ("Password", lab.password),
        ("Paths", "cm/trace/ccm/sdl"),
    ):
        press_until(tab, label)
        tab.keyboard.type(text)
    press_until(tab, "Start")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/ui/jobs/*")
    tab.get_by_role("row").filter(has_text=lab.nodes[1]).get_by_text("sending").first.wait_for()
    # The page is replaced under the focus while it moves on, and keeps it.
    press_until(tab, "Cancel job")
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Yes, cancel it").wait_for()
    press_until(tab, "Yes, cancel it")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="cancelled").wait_for()


def test_eight_tabs_follow_one_job(
    sign_in: Callable[..., Tabs], page_daemon: Daemon, lab: Lab
) -> None:
    with Client(page_daemon.socket) as client:
        wanted = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        login = Login(lab.username, lab.password)
        started = client.collect(lab.nodes[1:2], wanted, login=login)
        window = sign_in()
        opened = [window.open(f"/ui/jobs/{started.job_id}") for _ in range(8)]
        client.cancel(started.job_id)
    for tab in opened:
        tab.get_by_role("heading", name="cancelled").wait_for()


def test_table_stays_open_while_the_job_runs(
    sign_in: Callable[..., Tabs], page_daemon: Daemon, lab: Lab
) -> None:
    from playwright.sync_api import expect

    with Client(page_daemon.socket) as client:
        wanted = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        login = Login(lab.username, lab.password)
        started = client.collect(lab.nodes[1:2], wanted, login=login)
        tab = sign_in().open(f"/ui/jobs/{started.job_id}")
        tab.get_by_text("Timeline as a table").click()
        time = tab.locator(".nodes [data-is=Time]")
        expect(time).not_to_have_text(time.inner_text(), timeout=30_000)
        assert tab.locator("#table-Node").get_attribute("open") is not None
        client.cancel(started.job_id)


def test_page_returns_with_the_daemon(
    sign_in: Callable[..., Tabs], page_daemon: Daemon, job: str
) -> None:
    tab = sign_in().open(f"/ui/jobs/{job}")
    tab.get_by_role("heading", name="failed").wait_for()
    page_daemon.kill()
    away = tab.get_by_text("The daemon does not answer")
    away.wait_for()
    assert tab.get_by_role("heading", name="failed").is_visible(), "the page stays as it was"
    with running_daemon(page_daemon.folder, CONFIG + SPEAKS) as restarted:
        page_daemon.socket.unlink(missing_ok=True)
        page_daemon.socket.symlink_to(restarted.socket)
        away.wait_for(state="detached")
        restarted.stop()  # cucmweb holds connections, which would look as if they were left open
