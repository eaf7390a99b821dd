"""Runs a `cucmweb` in front of a daemon."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.web import Web, running_web


@pytest.fixture
def make_web(stack: ExitStack, tmp_path: Path) -> Callable[..., Web]:
    """Runs a `cucmweb`: `make_web(daemon, 'hosts = ["a"]')`."""

    def make(daemon: Daemon, config: str = "") -> Web:
        return stack.enter_context(running_web(tmp_path / "web", daemon.socket, config))

    return make


@pytest.fixture(scope="module")
def _web_of_a_module(
    _daemon_of_a_module: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web") / "web"
    with running_web(folder, _daemon_of_a_module.socket) as web:
        yield web


@pytest.fixture
def shared_web(_web_of_a_module: Web, _daemon_of_a_module: Daemon) -> Iterator[Web]:
    """One `cucmweb` for all tests of a module."""
    yield _web_of_a_module
    _daemon_of_a_module.forget_host_keys()


@pytest.fixture
def web(make_web: Callable[..., Web], daemon: Daemon) -> Iterator[Web]:
    return make_web(daemon)
