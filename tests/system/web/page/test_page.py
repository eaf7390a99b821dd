"""What a person does at the page, in a real browser."""

import zipfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from cucmd.job.work_request import Collection, Login
from cucmweb.token_file import add, revoke
from rig.browser import Tabs, tabs
from rig.daemon import Daemon
from rig.lab import Lab, running_lab
from rig.web import Web, running_web

pytestmark = pytest.mark.long


def fill_start(tab: Any, lab: Lab, nodes: str = "", password: str = "") -> None:
    tab.goto("/ui/start")
    tab.get_by_label("Nodes or cluster").fill(nodes or " ".join(lab.nodes))
    tab.get_by_label("User").fill(lab.username)
    tab.get_by_label("Password").fill(password or lab.password)
    tab.get_by_label("Paths").fill("cm/trace/ccm/sdl")
    tab.get_by_role("button", name="1 h", exact=True).click()


def press(tab: Any, link: str, agree: str) -> None:
    """Presses a button of a job, and agrees to what it is about to do."""
    tab.get_by_role("link", name=link).first.click()
    tab.get_by_role("button", name=agree).click()


def row(tab: Any, node: str) -> Any:
    return tab.get_by_role("row").filter(has_text=node)


def test_a_case_from_start_to_export(sign_in: Callable[..., Tabs], lab: Lab) -> None:
    tab = sign_in().open("/ui/start")
    fill_start(tab, lab)
    tab.get_by_role("button", name="Start").click()
    tab.wait_for_url("**/ui/jobs/*")
    # The page follows the job by itself.
    row(tab, lab.nodes[0]).get_by_text("succeeded").wait_for()
    row(tab, lab.nodes[1]).get_by_text("sending").wait_for()
    row(tab, lab.nodes[1]).get_by_role("link", name="Cancel node").click()
    tab.get_by_role("button", name="Yes, cancel it").click()
    row(tab, lab.nodes[1]).get_by_text("cancelled").wait_for()
    tab.get_by_role("heading", name="partial").wait_for()
    tab.get_by_role("link", name="Retry", exact=True).click()
    tab.get_by_label("Password").fill(lab.password)
    tab.get_by_role("button", name="Yes, try again").click()
    tab.get_by_role("heading", name="succeeded").wait_for()
    with tab.expect_download() as waiting:
        tab.get_by_role("link", name="Export").click()
    with closing(zipfile.ZipFile(Path(waiting.value.path()))) as exported:
        assert exported.testzip() is None
        names = exported.namelist()
    for node in lab.nodes:
        assert any(node.partition(":")[0] in name and "SDL" in name for name in names)


def test_works_without_scripts(sign_in: Callable[..., Tabs], lab: Lab) -> None:
    tab = sign_in(java_script_enabled=False).open("/ui/start")
    tab.get_by_label("Nodes or cluster").fill(lab.nodes[1])
    tab.get_by_label("User").fill(lab.username)
    tab.get_by_label("Password").fill(lab.password)
    tab.get_by_label("Paths").fill("cm/trace/ccm/sdl")
    tab.get_by_role("button", name="Start").click()
    tab.wait_for_url("**/ui/jobs/*")
    press(tab, "Cancel job", "Yes, cancel it")
    tab.get_by_role("heading", name="cancelled").wait_for()
    press(tab, "Delete", "Yes, delete it")
    tab.get_by_text("There are no jobs").wait_for()


def test_wrong_field_has_its_error_beside_it(sign_in: Callable[..., Tabs], lab: Lab) -> None:
    tab = sign_in().open("/ui/start")
    fill_start(tab, lab)
    tab.get_by_label("Last").fill("2 moons")
    tab.get_by_role("button", name="Start").click()
    field = tab.get_by_label("Last")
    assert field.get_attribute("aria-invalid") == "true"
    assert field.input_value() == "2 moons"
    assert tab.get_by_label("Nodes or cluster").input_value() == " ".join(lab.nodes)
    assert tab.get_by_label("Password").input_value() == ""


def test_estimate_leads_to_the_collection(sign_in: Callable[..., Tabs], lab: Lab) -> None:
    tab = sign_in().open("/ui/start")
    fill_start(tab, lab, nodes=lab.nodes[0])
    tab.get_by_role("button", name="Estimate").click()
    tab.get_by_role("heading", name="succeeded").wait_for()
    tab.get_by_text("total").wait_for()
    tab.get_by_role("link", name="Start this collection").click()
    assert tab.get_by_label("Nodes or cluster").input_value() == lab.nodes[0]
    assert tab.get_by_label("Paths").input_value() == "cm/trace/ccm/sdl"
    tab.get_by_label("Password").fill(lab.password)
    tab.get_by_role("button", name="Start").click()
    tab.get_by_role("heading", name="succeeded").wait_for()
    tab.get_by_text("collects cm/trace/ccm/sdl").wait_for()


def test_viewer_has_no_buttons(sign_in: Callable[..., Tabs], lab: Lab) -> None:
    tab = sign_in().open("/ui/start")
    fill_start(tab, lab, nodes=lab.nodes[0])
    tab.get_by_role("button", name="Start").click()
    tab.get_by_role("heading", name="succeeded").wait_for()
    seen = sign_in("victor", "view").open(tab.url)
    assert seen.get_by_role("link", name="Delete").count() == 0
    assert seen.get_by_role("link", name="Start").count() == 0
    assert seen.goto(f"{tab.url}/delete").status == 403


@pytest.mark.parametrize("view", ["", "/transcript?node={node}"])
def test_revoked_token_ends_open_pages(
    sign_in: Callable[..., Tabs], page_web: Web, page_daemon: Daemon, lab: Lab, view: str
) -> None:
    with page_daemon.client() as client:
        login = Login(lab.username, lab.password)
        wanted = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        job = client.collect(lab.nodes[1:2], wanted, login=login)
        path = f"/ui/jobs/{job.job_id}{view.format(node=lab.nodes[1])}"
        window = sign_in()
        tab = window.open(path)
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        revoke(page_web.log.parent / "tokens.toml", "anna")
        tab.get_by_label("Token").wait_for()
        assert tab.get_by_label("Token").locator("..").locator("[name=next]").input_value() == path
        asked.clear()
        tab.wait_for_timeout(3_000)
        assert asked == [], "the page of the login asks for nothing"
        client.cancel(job.job_id)
    # htmx notes on the console that the stream was cut off, and refused.
    window.wrong = [text for text in window.wrong if "htmx:sse:error" not in text]


def test_deleted_job_is_told(sign_in: Callable[..., Tabs], page_daemon: Daemon, lab: Lab) -> None:
    with page_daemon.client() as client:
        job = client.discover(lab.nodes[0], login=Login(lab.username, lab.password))
        client.wait(job.job_id)
        tab = sign_in().open(f"/ui/jobs/{job.job_id}")
        client.delete(job.job_id)
    tab.get_by_role("alert").get_by_text(f"no job '{job.job_id}'").wait_for()
    tab.get_by_role("alert").get_by_role("link", name="Jobs").click()
    tab.get_by_text("There are no jobs").wait_for()


def test_link_leads_back_after_signing_in(sign_in: Callable[..., Tabs]) -> None:
    window = sign_in()
    tab = window.open("/ui/?status=failed")
    tab.get_by_role("button", name="Sign out").click()
    tab.goto("/ui/?status=failed")
    assert tab.url.endswith("next=%2Fui%2F%3Fstatus%3Dfailed")


def test_times_are_those_of_the_viewer(sign_in: Callable[..., Tabs]) -> None:
    tab = sign_in().open("/ui/")
    tab.get_by_text("Times are in Asia/Tokyo").wait_for()


def test_start_shows_the_zone_of_the_nodes(
    sign_in: Callable[..., Tabs], page_daemon: Daemon, stack: ExitStack
) -> None:
    lab = stack.enter_context(running_lab(1, "--timezone", "Europe/Berlin"))
    with page_daemon.client() as client:
        check = client.check(lab.nodes, login=Login(lab.username, lab.password))
        client.wait(check.job_id)
    tab = sign_in().open("/ui/start")
    tab.get_by_label("Nodes or cluster").fill(lab.nodes[0])
    tab.get_by_label("User").focus()
    tab.get_by_text("The nodes are in Europe/Berlin").wait_for()
    tab.get_by_label("Since").fill("2026-01-02T15:30:00")  # in Tokyo, which is 8 hours ahead
    tab.get_by_label("User").focus()
    tab.get_by_text("2026-01-02 07:30:00 to now in Europe/Berlin").wait_for()


@pytest.mark.parametrize("path", ["/", "/ui"])
def test_short_address_leads_to_the_jobs(page_web: Web, path: str) -> None:
    answer = page_web.ask("GET", path, None, {"accept": "text/html"})
    assert (answer.status, answer.headers["location"]) == (303, "/ui/")


@pytest.mark.parametrize("origin", ["https://evil.example", None])
def test_form_of_another_site_is_refused(page_web: Web, origin: str | None) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = page_web.ask(
        "POST", "/ui/login", None, headers | ({"origin": origin} if origin else {})
    )
    assert answer.status == 403


def test_person_signs_in_below_a_site(browser: Any, page_daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "sites"
    folder.mkdir()
    token = add(folder / "tokens.toml", "anna", "operate", None)
    config = '[sites]\nberlin = "ssh://127.0.0.1:1"\n'  # nobody listens there
    with (
        running_web(folder, page_daemon.socket, config, tcp=True) as web,
        tabs(browser, f"http://127.0.0.1:{web.port}") as window,
    ):
        tab = window.open("/sites/berlin/ui/")
        tab.get_by_label("Token").fill(token)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url("**/sites/berlin/ui/")
        tab.get_by_text("the site berlin cannot be reached").wait_for()
        tab.get_by_role("link", name="here").click()
        tab.get_by_role("heading", name="Jobs").wait_for()
