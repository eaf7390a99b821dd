"""Hands a job over at the page, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cucmweb.token_file import add
from rig.browser import Tabs
from rig.collected import JOB_ID
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.exported import make_job
from rig.upload_servers import OddServer
from rig.web import Web, running_web
from system.web.page.conftest import SPEAKS

pytestmark = pytest.mark.long


@pytest.fixture
def page_daemon(tmp_path: Path) -> Iterator[Daemon]:
    make_job(tmp_path / "cucmd/state", {"trace.txt": b"SEPAABBCCDDEEFF\n"})
    with running_daemon(tmp_path / "cucmd", CONFIG + SPEAKS) as daemon:
        yield daemon


@pytest.fixture
def page_web(tmp_path: Path, page_daemon: Daemon, servers: Path, odd: OddServer) -> Iterator[Web]:
    add(tmp_path / "web/tokens.toml", "somebody", "view", None)
    config = '[targets.vendor]\nurl = "cxd"\n'
    environ = {"CUCM_CXD_HOST": odd.host, "SSL_CERT_FILE": str(servers / "ca.crt")}
    environ["XDG_DATA_HOME"] = str(tmp_path / "data")
    folder = tmp_path / "web"
    with running_web(folder, page_daemon.socket, config, tcp=True, environ=environ) as web:
        yield web


@pytest.mark.parametrize("scripts", [True, False])
def test_page_follows_a_handover(
    sign_in: Callable[..., Tabs], odd: OddServer, scripts: bool
) -> None:
    odd.hold.clear()
    tab = sign_in(java_script_enabled=scripts).open(f"/ui/jobs/{JOB_ID}")
    tab.get_by_role("link", name="Hand over").click()
    tab.get_by_label("Number of the case").fill("698123456")
    tab.get_by_label("Token").fill("Upload-Token-1")
    tab.get_by_role("button", name="Hand over").click()
    tab.get_by_text("100%").wait_for()
    tab.get_by_label("Number of the case").fill("7")
    odd.hold.set()
    tab.get_by_text("SHA-256").wait_for()
    assert tab.get_by_role("button", name="Cancel").count() == 0
    assert tab.get_by_label("Token").input_value() == ""
    if scripts:  # only the handovers were replaced
        assert tab.get_by_label("Number of the case").input_value() == "7"


def test_page_cancels_a_handover(sign_in: Callable[..., Tabs], odd: OddServer) -> None:
    odd.hold.clear()
    tab = sign_in().open(f"/ui/jobs/{JOB_ID}/handover")
    tab.get_by_label("Number of the case").fill("698123456")
    tab.get_by_label("Token").fill("Upload-Token-1")
    tab.get_by_role("button", name="Hand over").click()
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_text("cancelled").wait_for()
    assert tab.goto(f"/ui/jobs/{JOB_ID}").ok


def test_viewer_cannot_hand_over(sign_in: Callable[..., Tabs]) -> None:
    tab = sign_in("victor", "view").open(f"/ui/jobs/{JOB_ID}")
    assert tab.get_by_role("link", name="Hand over").count() == 0
    assert tab.goto(f"/ui/jobs/{JOB_ID}/handover").status == 403
