"""Every text of the daemon is hostile: HTML, scripts, escapes of a terminal, direction marks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from cucmd.job.work_request import Collection, Estimate, How, Login, Packets
from cucmweb.token_file import add
from rig.browser import Tabs
from rig.daemon import Daemon
from rig.hostile_relay import HOSTILE, hostile_relay
from rig.lab import Lab
from rig.web import Web, running_web

pytestmark = pytest.mark.long


@pytest.fixture
def page_web(tmp_path: Path, page_daemon: Daemon) -> Iterator[Web]:
    folder = tmp_path / "web"
    folder.mkdir()
    add(folder / "tokens.toml", "somebody", "view", None)
    relay = page_daemon.socket.with_name("hostile.sock")
    with (
        hostile_relay(relay, page_daemon.socket),
        running_web(folder, relay, tcp=True) as web,
    ):
        yield web


@pytest.fixture
def views(page_daemon: Daemon, lab: Lab) -> list[str]:
    """The addresses of all views, of a job of each kind."""
    login, nodes = Login(lab.username, lab.password), lab.nodes[:1]
    with page_daemon.client() as client:
        collection = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        started = [
            client.collect(nodes, collection, login=login, how=How(labels={"case": "1"})),
            client.run(nodes, ["show status"], login=login),
            client.discover(nodes[0], login=login),
            client.collect(nodes, collection, login=Login(lab.username, "wrong")),
            client.start(nodes, Estimate(collection), login=login),
            client.check(nodes, login=login),
            client.health(nodes, login=login),
            client.capture(nodes, Packets(count=20, duration=5), login=login),
        ]
        for job in started:
            client.wait(job.job_id)
    each = ["", f"/transcript?{urlencode({'node': nodes[0]})}", "/delete"]
    typed = urlencode(dict.fromkeys(("nodes", "paths", "commands", "last", "labels"), HOSTILE))
    return [
        *(f"/ui/jobs/{job.job_id}{view}" for job in started for view in each),
        f"/ui/jobs/{started[0].job_id}/files",
        f"/ui/jobs/{started[0].job_id}/find?what=0",
        f"/ui/jobs/{started[0].job_id}/find?{urlencode({'for': 'regex', 'what': '(' + HOSTILE})}",
        f"/ui/jobs/{started[1].job_id}/output",
        *("/ui/", "/ui/clusters", f"/ui/clusters/{nodes[0]}"),
        *(f"/ui/start?{typed}", f"/ui/jobs/{started[3].job_id}/retry"),
        f"/ui/?{urlencode({'label': 'case=<b>bold</b>', 'target': HOSTILE})}",
        f"/ui/login?{urlencode({'next': HOSTILE})}",
    ]


def test_hostile_texts_are_only_text(sign_in: Callable[..., Tabs], views: list[str]) -> None:
    window = sign_in()
    window.context.add_init_script(
        "document.addEventListener('htmx:sse:after:message', () => { window.told = true })"
    )
    tab = window.open("/ui/")
    for view in views:
        tab.goto(view)
        if tab.locator("[hx-sse\\:connect]").count():
            tab.wait_for_function("window.told")  # the stream has sent the same once more
        if "find?what" in view:
            assert tab.locator(".found mark").count() > 0, "no line was found"
        assert tab.locator("b, img, script:not([src])").count() == 0, view
        assert tab.evaluate("window.hacked") is None, view
        assert not {"\x1b", "\x9b", "\u202e"} & set(tab.content()), view
        assert "<b>bold</b>" in tab.locator("body").inner_text() + str(
            tab.locator("input, textarea").evaluate_all("all => all.map(each => each.value)")
        ), view
