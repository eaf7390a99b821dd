"""`cucmweb` with [sites]."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.openssh_node import needs_openssh
from rig.quiet import wait_until
from rig.sites import Sites
from rig.web import Web, running_web

pytestmark = [pytest.mark.long, needs_openssh]


@contextmanager
def web_with_sites(
    sites: Sites, folder: Path, own: Daemon, places: dict[str, str]
) -> Iterator[Web]:
    program = sites.program("cucmweb")
    config = "[sites]\n" + "".join(f'{name} = "{place}"\n' for name, place in places.items())
    with running_web(folder, own.socket, config, program=program, environ=sites.environ) as web:
        yield web


def test_web_serves_sites(
    sites: Sites, daemons: tuple[Daemon, Daemon], group: str, tmp_path: Path
) -> None:
    one, two = daemons
    places = {"munich": f"ssh://127.0.1.2{two.socket}", "away": f"ssh://127.0.1.3:99{one.socket}"}
    with web_with_sites(sites, tmp_path / "web", one, places) as web:
        wait_until(lambda: web.ask("GET", "/sites/munich/jobs").status == 200)
        jobs = web.ask("GET", "/sites/munich/jobs").json()["jobs"]
        with two.client() as client:
            assert {job["job_id"] for job in jobs} == {job.job_id for job in client.list()}
        name = jobs[0]["job_id"]

        two.ctl("label", name, "case=<script>alert(1)</script>")
        page = web.ask("GET", f"/sites/munich/ui/jobs/{name}").body
        assert (b"&lt;script&gt;alert(1)" in page, b"<script>alert" in page) == (True, False)

        pages = [f"/ui/jobs/{name}", "/ui/", "/ui/start", "/ui/clusters"]
        for path in pages:
            page = web.ask("GET", f"/sites/munich{path}").body.decode()
            links = set(re.findall(r'(?:href|src|action|connect)="(/[^"]*)"', page))
            others = {link for link in links if not link.startswith("/sites/munich/ui/")}
            assert others == {"/ui/", "/sites/away/ui/"}, "the links to the other sites"
        assert web.ask("GET", "/sites/munich/ui/static/style.css").status == 200
        assert web.ask("GET", "/sites/munich/").status == 404
        moved = web.ask("GET", "/sites/munich/ui", headers={"accept": "text/html"})
        assert (moved.status, moved.headers["location"]) == (303, "/sites/munich/ui/")

        described = web.ask("GET", "/sites/munich/openapi.json").json()
        assert described["servers"] == [{"url": "/sites/munich"}]

        away = web.ask("GET", "/sites/away/jobs")
        assert (away.status, away.json()["code"]) == (503, "SiteUnreachable")
        assert web.ask("GET", "/sites/away/ui/").status == 503
        assert web.ask("GET", "/sites/away/ui/static/style.css").status == 200
        assert web.ask("GET", "/sites/paris/jobs").status == 404
        assert web.ask("GET", "/sites/munich/sites/munich/jobs").status == 404
        wait_until(lambda: "site away: cannot be reached" in web.log.read_text())
