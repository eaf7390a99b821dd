"""Runs `cucmmcp` and `cucmweb` for the client of the official SDK, in front of one daemon."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

pytest.importorskip("mcp", reason="needs the extra mcp")

from cucmweb.token_file import add
from rig.assistant import Assistant, over_http, over_stdio
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.lab import free_port, running_lab
from rig.web import Web, running_web

# Whoever runs the tests speaks for others, and runs the daemon too.
SPEAKS = f'[access]\nmay_speak_for = ["{os.geteuid()}"]\n'


class Cluster(Struct):
    """A daemon that knows `berlin`, two simulated nodes. A third node hangs in each command."""

    daemon: Daemon
    nodes: list[str]
    hanging: str


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the state directory of the daemon, where a module can record jobs before it runs."""
    state = tmp_path_factory.mktemp("mcp") / "cucmd" / "state"
    state.mkdir(parents=True)
    return state


@pytest.fixture(scope="module")
def cluster(state: Path) -> Iterator[Cluster]:
    # All nodes have the same port, so that each knows the others as they are known here.
    with running_lab(3, "--port", free_port(), "--fault", "3=hang:command") as lab:
        folder = state.parent
        credential = named_credential(folder / "keys", "lab", lab.username, lab.password)
        publisher, *nodes = map(json.dumps, lab.nodes[:2])
        berlin = f"[clusters.berlin]\npublisher = {publisher}\nnodes = [{nodes[0]}]\n"
        berlin += 'credential = "lab"\n'
        with running_daemon(folder, CONFIG + credential + berlin + SPEAKS) as daemon:
            yield Cluster(daemon, lab.nodes[:2], lab.nodes[2])


@pytest.fixture(scope="module")
def tokens(state: Path) -> dict[str, str]:
    """Returns a token for each role, by the role."""
    file = state.parents[1] / "web" / "tokens.toml"
    return {role: add(file, f"a {role}", role, None) for role in ("view", "operate")}


@pytest.fixture(scope="module")
def web_config() -> str:
    return ""


@pytest.fixture(scope="module")
def web(cluster: Cluster, state: Path, tokens: dict[str, str], web_config: str) -> Iterator[Web]:
    folder, socket = state.parents[1], cluster.daemon.socket
    environ = {"XDG_DATA_HOME": str(folder / "data")}
    with running_web(folder / "web", socket, web_config, tcp=True, environ=environ) as web:
        yield web


@pytest.fixture
def assistant(cluster: Cluster) -> Assistant:
    """Connects a client: `async with assistant("--operate", person=person) as client`."""
    return lambda *options, **client: over_stdio(cluster.daemon.socket, *options, **client)


@pytest.fixture
def web_assistant(web: Web, tokens: dict[str, str]) -> Assistant:
    """Connects a client over HTTP: `async with web_assistant("view", mode=OLD) as client`.

    This is quicker than `assistant`, which starts a process and loads the SDK there.
    """
    return lambda role="operate", **client: over_http(web, tokens[role], **client)
