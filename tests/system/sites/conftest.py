"""Real sshd in a network namespace, in front of real daemons: `sites`."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL
from rig.lab import Lab, running_lab
from rig.quiet import wait_until
from rig.sites import Sites, running_sites
from system.ctl.conftest import Canned

INFO = {"vendor": "", "product": "cucmd", "url": "", "interfaces": ["io.cucmd.Jobs"]}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(2) as lab:
        yield lab


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[tuple[Daemon, Daemon]]:
    folder = tmp_path_factory.mktemp("daemons")
    config = CONFIG + named_credential(folder / "c", "lab", lab.username, lab.password)
    with running_daemon(folder / "a", config) as one, running_daemon(folder / "b", config) as two:
        for daemon in (one, two):  # any user may come to the socket, and is refused there
            daemon.socket.parent.chmod(0o755)
        yield one, two


@pytest.fixture(scope="module")
def _sites_of_a_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    sftp = "Subsystem sftp internal-sftp -d /"
    with running_sites(tmp_path_factory.mktemp("sites") / "s", sftp) as sites:
        (sites.folder.parent).chmod(0o755)
        yield sites


@pytest.fixture
def sites(_sites_of_a_module: Sites, daemons: tuple[Daemon, Daemon]) -> Iterator[Sites]:
    sites = _sites_of_a_module
    one, two = daemons
    sites.write(
        {"berlin": f"ssh://127.0.1.1{one.socket}", "munich": f"ssh://127.0.1.2{two.socket}"}
    )
    yield sites
    wait_until(lambda: not sites.connections())


@pytest.fixture
def group(sites: Sites, lab: Lab) -> str:
    """The id of jobs at both sites that have ended."""
    nodes = (f"berlin/{lab.nodes[0]}", f"munich/{lab.nodes[1]}")
    how = ("--credential", "lab", "--path", SDL, "--last", "2h", "--wait")
    done = sites.ctl("start", *nodes, *how)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def canned(stack: ExitStack, folder: Path) -> Canned:
    daemon = Canned(folder / "sock")
    stack.callback(daemon.close)
    daemon.on("org.varlink.service.GetInfo", Canned.reply({**INFO, "version": "0.1.9"}))
    return daemon


def lines(text: str) -> dict[str, dict]:
    """Returns the last JSON line of each site."""
    return {line["site"]: line for line in map(json.loads, text.splitlines())}
