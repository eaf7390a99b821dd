"""Pages whose event stream is refused, because the same person has too many."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cucmweb.token_file import add
from rig.browser import Tabs
from rig.daemon import Daemon
from rig.web import Web, running_web

pytestmark = pytest.mark.long


@pytest.fixture
def page_web(tmp_path: Path, page_daemon: Daemon) -> Iterator[Web]:
    folder = tmp_path / "web"
    folder.mkdir()
    add(folder / "tokens.toml", "somebody", "view", None)
    limits = "[limits]\nstreams_per_caller = 1\n"
    with running_web(folder, page_daemon.socket, limits, tcp=True) as web:
        yield web


def test_page_says_why_it_stands_still(sign_in: Callable[..., Tabs]) -> None:
    window = sign_in()
    # The stream of the page after the login may still be counted when the first of these begins.
    *_, last = [window.open("/ui/") for _ in range(3)]
    last.get_by_role("alert").get_by_text("Too many pages are open").wait_for()
    assert last.get_by_text("There are no jobs").is_visible(), "the page stays as it was"
