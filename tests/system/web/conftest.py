"""A `cucmweb` in front of a daemon."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.web import Web, running_web


@pytest.fixture
def make_web(stack: ExitStack, tmp_path: Path) -> Callable[..., Web]:
    """`make_web(daemon, 'hosts = ["a"]')`."""

    def make(daemon: Daemon, config: str = "") -> Web:
        return stack.enter_context(running_web(tmp_path / "web", daemon.socket, config))

    return make


@pytest.fixture
def web(make_web: Callable[..., Web], daemon: Daemon) -> Iterator[Web]:
    return make_web(daemon)
