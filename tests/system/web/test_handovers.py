"""Handovers: `cucmweb` runs `cucmctl`, which uploads to a real server."""

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from cucmweb.token_file import add
from rig.collected import JOB_ID
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.exported import make_job
from rig.gpg_home import KEY, gpg_home, needs_gpg
from rig.nginx import needs_nginx
from rig.process import command_line
from rig.quiet import wait_until
from rig.upload_servers import CASE, TOKEN, OddServer, running_webdav
from rig.web import Web, running_web

PRIVATE = "SEPAABBCCDDEEFF"
TEXT = f"08:00:00.000 |Station {PRIVATE}|*^*^*\n".encode() * 500
PASSWORD = "Zip Secret-1"
PATH = f"/jobs/{JOB_ID}/handovers"


class Place(NamedTuple):
    """Where handovers run. `web` runs a cucmweb with targets at a host."""

    daemon: Daemon
    data: Path
    servers: Path
    web: Callable[[str], AbstractContextManager[Web]]
    bearer: dict[str, str]
    environ: dict[str, str]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("handovers") / "cucmd"
    make_job(folder / "state", {"trace.txt": TEXT})
    speaks = f'[access]\nmay_speak_for = ["{os.geteuid()}"]\n'
    with running_daemon(folder, CONFIG + speaks) as daemon:
        assert daemon.ctl("label", JOB_ID, f"case={CASE}").returncode == 0
        yield daemon


@pytest.fixture
def place(tmp_path: Path, daemon: Daemon, servers: Path) -> Place:
    (secret := tmp_path / "secret").touch(0o600)
    secret.write_text(f"{TOKEN}\n")
    data, folder = tmp_path / "data", tmp_path / "web"
    environ = {"SSL_CERT_FILE": str(servers / "ca.crt"), "XDG_DATA_HOME": str(data)}

    def web(host: str) -> AbstractContextManager[Web]:
        config = f"""
[targets.vendor]
url = "cxd"
[targets.archive]
url = "https://{CASE}@{host}/home/"
token_file = "{secret}"
mask = "always"
[targets.plain]
url = "https://{host}/inbox/"
mask = "no"
[targets.sealed]
url = "cxd"
encrypt_with_password = true
"""
        more = {**environ, "CUCM_CXD_HOST": host}
        return running_web(folder, daemon.socket, config, environ=more)

    bearer = add(folder / "tokens.toml", "olga", "operate", None)
    return Place(daemon, data, servers, web, {"authorization": f"Bearer {bearer}"}, environ)


def newest(web: Web) -> dict[str, Any]:
    return web.ask("GET", PATH).json()["handovers"][0]


def ended(web: Web) -> dict[str, Any]:
    wait_until(lambda: newest(web)["state"] != "running")
    return newest(web)


def start(web: Web, headers: dict[str, str] | None = None, **asked: object) -> None:
    answer = web.ask("POST", PATH, asked, headers)
    assert answer.status == 202, answer.body
    assert answer.json()["state"] == "running"


def children(web: Web) -> list[int]:
    """Returns the child processes, each of which a thread has started."""
    threads = Path(f"/proc/{web.pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def leftovers(place: Place) -> list[Path]:
    return list((place.data / "cucmweb").glob("export-*"))


@needs_nginx
@pytest.mark.parametrize(
    ("asked", "masked"),
    [
        ({"target": "archive"}, True),
        ({"target": "vendor", "token": TOKEN}, True),
        ({"target": "vendor", "token": TOKEN, "mask": False}, False),
        ({"target": "plain"}, False),
    ],
)
def test_target_has_the_file(
    place: Place, tmp_path: Path, asked: dict[str, object], masked: bool
) -> None:
    (files := tmp_path / "files").mkdir()
    for name in ("server.crt", "server.key"):
        (files / name).symlink_to(place.servers / name)
    with running_webdav(files) as host, place.web(host) as web:
        start(web, place.bearer, **asked)
        end = ended(web)
        log = web.log.read_text()
    assert end["state"] == "done", end
    assert (end["masked"], end["asked_by"]) == (masked, "olga")
    stored = files / end["address"].removeprefix(f"https://{host}/")
    content = stored.read_bytes()
    assert end["sha256"] == hashlib.sha256(content).hexdigest()
    assert end["bytes"] == len(content)
    with zipfile.ZipFile(stored) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist() if "trace" in name)
    assert text.count(PRIVATE.encode()) == (0 if masked else 500)
    assert leftovers(place) == []
    kept = (place.data / "cucmweb/handovers.json").read_text()
    assert TOKEN not in log + kept + json.dumps(end)
    assert "'olga'" in log


@needs_gpg
def test_target_gets_only_what_is_encrypted(
    place: Place, odd: OddServer, daemon: Daemon, tmp_path: Path
) -> None:
    with gpg_home(tmp_path / "gpg") as home:
        config = f'[targets.plain]\nurl = "https://{odd.host}/"\nencrypt_to = "{KEY}"\n'
        environ = {**place.environ, "GNUPGHOME": str(home)}
        with running_web(tmp_path / "sealed", daemon.socket, config, environ=environ) as web:
            start(web, target="plain")
            end = ended(web)
    assert end["state"] == "done", end
    assert end["address"].endswith(".zip.gpg")


@needs_nginx
@pytest.mark.skipif(shutil.which("7z") is None, reason="7z is not installed")
def test_zip_opens_with_the_callers_password(place: Place, tmp_path: Path) -> None:
    (files := tmp_path / "files").mkdir()
    for name in ("server.crt", "server.key"):
        (files / name).symlink_to(place.servers / name)
    with running_webdav(files) as host, place.web(host) as web:
        start(web, target="sealed", token=TOKEN, password=PASSWORD)
        end = ended(web)
        log = web.log.read_text()
    assert end["state"] == "done", end
    stored = files / end["address"].removeprefix(f"https://{host}/")
    subprocess.run(["7z", "t", f"-p{PASSWORD}", stored], check=True, capture_output=True)
    kept = (place.data / "cucmweb/handovers.json").read_text()
    assert PASSWORD not in log + kept + json.dumps(end)


def test_third_handover_has_to_wait(place: Place, odd: OddServer) -> None:
    odd.hold.clear()
    with place.web(odd.host) as web:
        start(web, target="plain")
        start(web, target="vendor", token=TOKEN)
        answer = web.ask("POST", PATH, {"target": "archive"})
        assert (answer.status, answer.json()["code"]) == (429, "TooManyHandovers")
        odd.hold.set()
        wait_until(lambda: children(web) == [])


def test_no_secret_is_in_the_process(place: Place, odd: OddServer) -> None:
    odd.hold.clear()
    with place.web(odd.host) as web:
        start(web, target="sealed", token=TOKEN, case="7", password=PASSWORD)
        assert odd.came.wait(60)
        (child,) = children(web)
        known = " ".join(command_line(child)) + Path(f"/proc/{child}/environ").read_text()
        assert newest(web)["state"] == "running"
        odd.hold.set()
        assert ended(web)["state"] == "done"
    sent = b64encode(f"7:{TOKEN}".encode()).decode()
    assert f"basic {sent}".lower() in odd.requests[0].lower()
    assert TOKEN not in known
    assert PASSWORD not in known


def test_cancel_ends_everything(place: Place, odd: OddServer) -> None:
    odd.hold.clear()
    with place.web(odd.host) as web:
        start(web, target="plain")
        assert odd.came.wait(60)
        wait_until(lambda: str(newest(web)["progress"]).startswith("uploading "))
        assert web.ask("POST", PATH, {"target": "plain"}).json()["code"] == "HandoverRuns"
        assert web.ask("POST", f"{PATH}/plain/cancel").status == 200
        end = ended(web)
        assert children(web) == []
    assert (end["state"], end["sha256"]) == ("cancelled", None)
    assert "it is not known" in end["said"][-1]
    assert leftovers(place) == []


def test_stop_is_seen_after_restart(place: Place, odd: OddServer) -> None:
    odd.hold.clear()
    with place.web(odd.host) as web:
        start(web, target="plain")
        assert odd.came.wait(60)
        (child,) = children(web)
    assert not Path(f"/proc/{child}").exists()
    with place.web(odd.host) as web:
        end = newest(web)
    assert end["state"] == "failed"
    assert "interrupted" in end["said"][-2]
    assert "look there" in end["said"][-1]
    assert leftovers(place) == []


def test_kill_is_seen_after_restart(place: Place, odd: OddServer) -> None:
    (folder := place.data / "cucmweb" / "export-x").mkdir(parents=True)
    running = {"job_id": JOB_ID, "target": "plain", "state": "running", "masked": True}
    running["started_at"] = "2026-12-01T12:00:00Z"
    (folder.parent / "handovers.json").write_text(json.dumps([running]))
    with place.web(odd.host) as web:
        end = newest(web)
    assert end["state"] == "failed"
    assert end["ended_at"]
    with place.web(odd.host) as web:
        assert newest(web) == end
    assert "look there" in end["said"][-1]
    assert leftovers(place) == []


def test_failure_says_why(place: Place, odd: OddServer) -> None:
    odd.answer = lambda head: b"HTTP/1.1 401 \x1b[31mNo\r\n\r\n"
    with place.web(odd.host) as web:
        start(web, target="archive")
        end = ended(web)
    assert end["state"] == "failed"
    assert "refused the login" in end["said"][-1]
    assert "\x1b" not in end["said"][-1]


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"target": "nowhere"}, 404, None),
        ({}, 400, "target"),
        ({"target": 3}, 400, "target"),
        ({"target": "vendor", "token": "t", "case": "1/../2"}, 400, "case"),
        ({"target": "vendor", "token": "t", "case": "--force"}, 400, "case"),
        ({"target": "vendor"}, 400, "token"),
        ({"target": "archive", "token": "t"}, 400, "token"),
        ({"target": "archive", "mask": False}, 400, "mask"),
        ({"target": "archive", "password": "p"}, 400, "password"),
        ({"target": "sealed", "token": "t"}, 400, "password"),
        ({"target": "sealed", "token": "t", "password": "a\nb"}, 400, "password"),
        ({"target": "sealed", "token": "a\nb", "password": "p"}, 400, "token"),
    ],
)
def test_wrong_request_starts_nothing(
    wrong_web: Web, asked: dict[str, object], status: int, field: str | None
) -> None:
    answer = wrong_web.ask("POST", PATH, asked)
    assert (answer.status, answer.json().get("field")) == (status, field)
    assert wrong_web.ask("GET", PATH).json() == {"handovers": []}


@pytest.fixture(scope="module")
def wrong_web(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("wrong")
    config = f"""
[targets.vendor]
url = "cxd"
[targets.archive]
url = "https://a@localhost:1/"
token_file = "{folder}/none"
mask = "always"
[targets.sealed]
url = "cxd"
encrypt_with_password = true
"""
    environ = {"XDG_DATA_HOME": str(folder / "data")}
    with running_web(folder / "web", daemon.socket, config, environ=environ) as web:
        yield web


def test_second_cucmweb_is_refused(place: Place, odd: OddServer) -> None:
    with place.web(odd.host), pytest.raises(AssertionError, match="another cucmweb"):
        place.web(odd.host).__enter__()


def test_form_hands_over(place: Place, odd: OddServer) -> None:
    view = f"/ui/jobs/{JOB_ID}/handover"

    def send(**fields: str) -> tuple[int, str]:
        headers = {"sec-fetch-site": "same-origin"}
        headers["content-type"] = "application/x-www-form-urlencoded"
        connection = web.connection()
        connection.request("POST", view, urlencode(fields), headers)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, text

    with place.web(odd.host) as web:
        assert view in web.ask("GET", f"/ui/jobs/{JOB_ID}").body.decode()
        assert f'value="{CASE}"' in web.ask("GET", view).body.decode()
        status, text = send(target="vendor", case="x", token=TOKEN)
        assert (status, 'role="alert"' in text, TOKEN in text) == (400, True, False)
        sealed = {"target": "sealed", "case": "7", "token": TOKEN, "password": "a"}
        status, text = send(**sealed, again="b")
        assert (status, "the two passwords differ" in text) == (400, True)
        assert send(**sealed, again="a")[0] == 303
        end = ended(web)
        assert end["sha256"] in web.ask("GET", view).body.decode()
