"""Runs a lab and a daemon for a test, and checks that the test leaves nothing open."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig import written
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.forked import start_fork_server
from rig.killed import make_dice
from rig.lab import Lab, running_lab
from rig.leftovers import Holdings, assert_holds_no_more, nothing_left_here
from rig.openssh_node import PASSWORD, OpenSshNode, openssh_node
from rig.upload_servers import OddServer, make_certificates, running
from rig.varlink_peer import short_path


@pytest.fixture(scope="session", autouse=True)
def no_password_was_ever_written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Searches the files of every daemon of the test run for passwords."""
    yield
    assert written.passwords_of_the_run(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Checks after each test. What a fixture of a wider scope has opened does not count."""
    tmp_path_factory.getbasetemp()  # creates pytest's own folder before the check
    with nothing_left_here():
        yield


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_lab(stack: ExitStack) -> Callable[..., Lab]:
    """Runs a lab: `make_lab(3, "--fault", "2=hang:command")`."""
    return lambda nodes, *options: stack.enter_context(running_lab(nodes, *options))


@pytest.fixture
def make_node(stack: ExitStack, tmp_path: Path) -> Callable[..., OpenSshNode]:
    """Runs OpenSSH as a node: `make_node(1, zone="UTC")` runs one at 127.3.0.1."""

    def make(number: int, **options: str) -> OpenSshNode:
        folder = tmp_path / f"node{number}"
        return stack.enter_context(openssh_node(folder, f"127.3.0.{number}", PASSWORD, **options))

    return make


@pytest.fixture
def make_daemon(stack: ExitStack, tmp_path: Path) -> Callable[..., Daemon]:
    """Runs a daemon: `make_daemon("[limits]\\njobs = 1")` adds to the usual configuration."""

    def make(more: str = "", environ: dict[str, str] | None = None) -> Daemon:
        return stack.enter_context(running_daemon(tmp_path / "cucmd", CONFIG + more, environ))

    return make


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon()


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with short_path() as path:
        yield path


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes the folder of servers that take uploads, with certificates."""
    folder = tmp_path_factory.mktemp("servers")
    make_certificates(folder)
    return folder


@pytest.fixture
def odd(servers: Path) -> Iterator[OddServer]:
    """Runs a server that misbehaves as a test wants it."""
    server = OddServer(servers)
    with running(server.serve) as server.host:
        yield server
        server.hold.set()


@pytest.fixture(scope="module")
def forks() -> None:
    """Prepares what `rig.forked` needs to start daemons in forks."""
    start_fork_server()


@pytest.fixture
def dice() -> random.Random:
    return make_dice()


@pytest.fixture(scope="module")
def _daemon_of_a_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running_daemon(tmp_path_factory.mktemp("shared") / "cucmd") as daemon:
        yield daemon


@pytest.fixture
def shared_daemon(_daemon_of_a_module: Daemon) -> Iterator[Daemon]:
    """Gives the tests of a module one daemon, and checks that each leaves it as it was."""
    before = Holdings.of(_daemon_of_a_module)
    yield _daemon_of_a_module
    _daemon_of_a_module.forget_host_keys()
    assert_holds_no_more(_daemon_of_a_module, before)
