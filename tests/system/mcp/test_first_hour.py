"""Tests the first hour of an assistant with a real daemon and simulated nodes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import Client

from rig.credentials import named_credential
from rig.daemon import Daemon
from rig.lab import Lab
from system.mcp.conftest import GENERATIONS, Assistant, Person

pytestmark = pytest.mark.long


async def ask(client: Client, tool: str, **arguments: object) -> dict:
    """Returns the structured content of an answer, which its text has to repeat."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab(2)


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon], lab: Lab, tmp_path: Path) -> Daemon:
    """Knows a cluster, and a credential for it."""
    credential = named_credential(tmp_path / "keys", "lab", lab.username, lab.password)
    nodes = json.dumps(lab.nodes)
    return make_daemon(f'{credential}[clusters.berlin]\nnodes = {nodes}\ncredential = "lab"\n')


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_first_hour(assistant: Assistant, mode: str) -> None:
    person = Person()
    async with assistant("--operate", person=person, mode=mode) as client:
        [cluster] = (await ask(client, "clusters", name="berlin"))["items"]
        assert len(cluster["nodes"]) == 2
        checked = await ask(client, "start", kind="health", nodes=["berlin"])
        await ask(client, "wait", job=checked["job_id"])
        health = await ask(client, "health", target="berlin")
        assert (health["job_id"], health["status"]) == (checked["job_id"], "succeeded")
        collected = await ask(
            client, "start", kind="collect", nodes=["berlin"], paths=["cm/trace/ccm/sdl"], last="2h"
        )
        assert person.asked[-1].endswith("cucmctl start berlin --path cm/trace/ccm/sdl --last 2h")
        state = await ask(client, "wait", job=collected["job_id"])
        assert state["status"] == "succeeded"
        files = await ask(client, "files", job=collected["job_id"], path="sdl")
        found = await ask(client, "find", job=collected["job_id"], regex=".", path="sdl")
        [first, *_] = found["items"]
        assert first["path"] in [file["path"] for file in files["items"]]
        where = {"node": first["node"], "path": first["path"], "first": first["number"]}
        lines = await ask(client, "read", job=collected["job_id"], lines=1, **where)
        assert lines["items"] == [{"number": first["number"], "text": first["line"]}]
