"""Runs a daemon, a lab and a cucmweb with a page, and a browser in front of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cucmweb.token_file import add
from rig.browser import Tabs, running_browser, tabs
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.lab import Lab, running_lab
from rig.web import Web, running_web

SPEAKS = f'[access]\nmay_speak_for = ["{os.geteuid()}"]\n'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page_daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path / "cucmd", CONFIG + SPEAKS) as daemon:
        yield daemon


@pytest.fixture
def page_web(tmp_path: Path, page_daemon: Daemon) -> Iterator[Web]:
    folder = tmp_path / "web"
    folder.mkdir()
    add(folder / "tokens.toml", "somebody", "view", None)  # TCP needs a way to sign in
    config = '[targets.vendor]\nurl = "cxd"\n'
    with running_web(folder, page_daemon.socket, config, tcp=True) as web:
        yield web


@pytest.fixture
def sign_in(browser: Any, page_web: Web, stack: ExitStack) -> Callable[..., Tabs]:
    """Opens a browser window of somebody: `sign_in("anna", "operate")`."""

    def make(name: str = "anna", role: str = "operate", **options: Any) -> Tabs:
        token = add(Path(page_web.log.parent, "tokens.toml"), name, role, None)
        window = stack.enter_context(tabs(browser, f"http://127.0.0.1:{page_web.port}", **options))
        tab = window.open("/ui/")
        tab.get_by_label("Token").fill(token)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url("**/ui/")
        tab.close()
        return window

    return make


@pytest.fixture
def lab(stack: ExitStack) -> Lab:
    """Three nodes. The second stops in the middle of its first file, once."""
    return stack.enter_context(running_lab(3, "--fault", "2=upload-stalled*1"))
