"""Tests that numbers, names and addresses are masked before they leave, and exports."""

import json
import zipfile
from pathlib import Path

import pytest

from rig.assistant import Assistant, ask, over_stdio, refusal
from rig.collected import JOB_ID
from rig.daemon import Daemon
from rig.searched import make_job
from system.mcp.conftest import Cluster

pytestmark = pytest.mark.long

TRACE = b"""\
00000001.000 |05:00:01.000 |SdlSig |CcSetupReq |wait |cn=7021004 dd=7021004 dev=SEP38ED18552A12
00000002.000 |05:00:02.000 |AppInfo |From: <sip:7021004@172.27.1.42>;tag=1
00000003.000 |05:00:03.000 |AppInfo |7021004 is busy
"""


@pytest.fixture(scope="module")
def state(state: Path) -> Path:
    make_job(state, {"berlin-pub/cm/trace/ccm/sdl/a.txt": TRACE})
    return state


@pytest.fixture
def daemon(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return cluster.daemon


async def test_answers_are_masked(assistant: Assistant, daemon: Daemon) -> None:
    async with assistant("--mask") as client:
        found = await ask(client, "find", job=JOB_ID, regex=".")
    text = json.dumps(found)
    for original in ("7021004", "172.27.1.42", "38ED18552A12", "berlin"):
        assert original not in text
    assert len(found["items"]) == 3
    plain = daemon.ctl("unmask", "-", input=found["items"][2]["line"]).stdout
    assert "7021004 is busy" in plain


async def test_masks_can_be_searched_for(assistant: Assistant, daemon: Daemon) -> None:
    async with assistant("--mask") as client:
        [first, *_] = (await ask(client, "find", job=JOB_ID, text="CcSetupReq"))["items"]
        mask = first["line"].partition("cn=")[2].split()[0]
        assert len(mask) == 7
        again = await ask(client, "find", job=JOB_ID, text=mask, nodes=[first["node"]])
        assert len(again["items"]) == 3
        where = {"node": first["node"], "path": first["path"]}
        assert len((await ask(client, "read", job=JOB_ID, **where))["items"]) == 3


async def test_errors_are_masked(assistant: Assistant, daemon: Daemon) -> None:
    async with assistant("--mask") as client:
        await ask(client, "job", job=JOB_ID)
        text = await refusal(client, "files", job=JOB_ID, nodes=["berlin-pub", "x"])
    assert "berlin" not in text


async def test_export_is_masked(daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    config = tmp_path / "cucmmcp.toml"
    config.write_text(f'export_folder = "{folder}"\n')
    async with over_stdio(daemon.socket, "--config", str(config)) as client:
        assert "cucmctl export" in await refusal(client, "export", job=JOB_ID)
    async with over_stdio(daemon.socket, "--operate", "--config", str(config)) as client:
        exported = await ask(client, "export", job=JOB_ID)
        assert "exists" in await refusal(client, "export", job=JOB_ID)
    [file] = exported["items"]
    assert file == f"{folder}/{JOB_ID}.zip"
    with zipfile.ZipFile(file) as written:
        assert not any(b"7021004" in written.read(name) for name in written.namelist())


async def test_export_needs_a_folder(assistant: Assistant) -> None:
    async with assistant("--operate") as client:
        assert f"cucmctl export {JOB_ID} --mask" in await refusal(client, "export", job=JOB_ID)
