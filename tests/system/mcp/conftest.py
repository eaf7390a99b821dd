"""Runs `cucmmcp` over standard input and output for the client of the official SDK."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp import Client, StdioServerParameters

from rig.assistant import Assistant, Person
from rig.credentials import named_credential
from rig.daemon import Daemon
from rig.lab import Lab


@pytest.fixture
def daemon(
    make_daemon: Callable[..., Daemon], make_lab: Callable[..., Lab], tmp_path: Path
) -> Daemon:
    """Knows a cluster of two simulated nodes, and a credential for them."""
    lab = make_lab(2)
    credential = named_credential(tmp_path / "keys", "lab", lab.username, lab.password)
    nodes = json.dumps(lab.nodes)
    return make_daemon(f'{credential}[clusters.berlin]\nnodes = {nodes}\ncredential = "lab"\n')


@pytest.fixture
def assistant(daemon: Daemon) -> Assistant:
    """Connects a client: `async with assistant("--operate", person=person) as client`."""
    return lambda *options, **client: connected(daemon.socket, *options, **client)


def connected(
    socket: Path, *options: str, person: Person | None = None, mode: str = "2026-07-28"
) -> Client:
    arguments = ["-m", "cucmmcp", "--socket", str(socket), *options]
    # The SDK gives a server only a few variables of its own environment.
    server = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    return Client(server, mode=mode, elicitation_callback=person and person.answer)
