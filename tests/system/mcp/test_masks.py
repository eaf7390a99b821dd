"""Tests that numbers, names and addresses are masked before they leave, and exports."""

import json
import zipfile
from functools import partial
from pathlib import Path

import pytest

from rig.assistant import GENERATIONS, Assistant, Person, ask, over_stdio, refusal
from rig.daemon import Daemon
from rig.web import Web
from system.mcp.conftest import NUMBER, PRIVATE, Cluster

# The SDK's client does not close a stream of httpx2 that it has not read to its end.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def daemon(cluster: Cluster, web: Web, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """Returns the daemon. Its `cucmctl` has the key of `web`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(web.log.parent / "data"))
    return cluster.daemon


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_each_generation_gets_masks(masked_assistant: Assistant, mode: str) -> None:
    async with masked_assistant(mode=mode) as client:
        assert len((await client.list_tools()).tools) == 12
        found = await ask(client, "find", job=PRIVATE, text="cn=")
    assert len(found["items"]) == 1
    assert NUMBER not in str(found)


async def test_answers_are_masked(masked_assistant: Assistant, daemon: Daemon) -> None:
    async with masked_assistant() as client:
        found = await ask(client, "find", job=PRIVATE, regex=".")
    text = json.dumps(found)
    for original in ("7021004", "172.27.1.42", "38ED18552A12", "berlin"):
        assert original not in text
    assert len(found["items"]) == 3
    plain = daemon.ctl("unmask", "-", input=found["items"][2]["line"]).stdout
    assert "7021004 is busy" in plain


async def test_masks_can_be_searched_for(masked_assistant: Assistant, daemon: Daemon) -> None:
    async with masked_assistant() as client:
        [first, *_] = (await ask(client, "find", job=PRIVATE, text="CcSetupReq"))["items"]
        mask = first["line"].partition("cn=")[2].split()[0]
        assert len(mask) == 7
        again = await ask(client, "find", job=PRIVATE, text=mask, nodes=[first["node"]])
        assert len(again["items"]) == 3
        where = {"node": first["node"], "path": first["path"]}
        assert len((await ask(client, "read", job=PRIVATE, **where))["items"]) == 3


async def test_errors_are_masked(masked_assistant: Assistant, daemon: Daemon) -> None:
    async with masked_assistant() as client:
        await ask(client, "job", job=PRIVATE)
        text = await refusal(client, "files", job=PRIVATE, nodes=["berlin-pub", "x"])
    assert "berlin" not in text


@pytest.fixture(params=["stdio", "http"])
def exporter(
    request: pytest.FixtureRequest, daemon: Daemon, masked_assistant: Assistant, tmp_path: Path
) -> tuple[Assistant, Path]:
    """Returns what connects a client that may export, and the folder for exports."""
    if request.param == "http":
        return masked_assistant, daemon.folder.parent / "exports"
    options = ("--operate", "--mask", "--export-folder", str(tmp_path))
    return partial(over_stdio, daemon.socket, *options), tmp_path


async def test_export_is_masked(exporter: tuple[Assistant, Path]) -> None:
    connect, folder = exporter
    async with connect() as client:
        assert NUMBER not in str(await ask(client, "find", job=PRIVATE, text="cn="))
        exported = await ask(client, "export", job=PRIVATE)
        assert all(line.startswith("cucmctl: ") for line in exported["says"])
        assert "exists" in await refusal(client, "export", job=PRIVATE)
    [file] = exported["items"]
    assert Path(file).name == f"{PRIVATE}.zip"
    with zipfile.ZipFile(folder / f"{PRIVATE}.zip") as written:
        names = written.namelist()
        assert not any(NUMBER.encode() in written.read(name) for name in names)
    assert names


async def test_person_sees_originals(masked_assistant: Assistant) -> None:
    person = Person("decline")
    async with masked_assistant(person=person) as client:
        [first, *_] = (await ask(client, "find", job=PRIVATE, text="CcSetupReq"))["items"]
        said = await refusal(client, "start", kind="check", nodes=[first["node"]])
    assert first["node"] != "berlin-pub"
    assert person.asked[0].endswith("cucmctl check berlin-pub")
    assert "berlin" not in said


async def test_refusals_are_masked(masked_assistant: Assistant) -> None:
    async with masked_assistant("view") as client:
        [known] = (await ask(client, "clusters"))["items"]
        said = await refusal(client, "start", kind="check", nodes=[known["name"]])
    assert said.endswith(f"cucmctl check {known['name']}")
    assert known["name"] != "berlin"
