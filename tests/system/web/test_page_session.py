"""The session and the error in cucmweb(8) are real."""

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.lab import Lab
from rig.nginx import shown
from rig.web import Web

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


def test_the_session_of_the_page(web: Web, make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = make_lab(2, "--fault", "2=hang:command")
    home = tmp_path / "home"
    home.mkdir()
    # All that the session does not have to say: the port of the page is this socket.
    own = [f'unix-socket = "{web.socket}"', "fail-with-body", "silent", "show-error"]
    (home / ".curlrc").write_text("\n".join(own))
    names = {"cucm-pub": lab.nodes[0], "cucm-sub1": lab.nodes[1], "lab-password": lab.password}

    def typed(line: str) -> str:
        for name, real in names.items():
            line = line.replace(name, real)
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=home,
            env={**os.environ, "CURL_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    request = shown("json", '"login"')
    for name, real in names.items():
        request = request.replace(name, real)
    (home / "start.json").write_text(request)
    start, look, cancel, watch, export = shown("sh", "start.json").splitlines()
    names["57f3c2a1"] = json.loads(typed(start))["job_id"]
    assert json.loads(typed(look))["labels"] == {"case": "698123456"}
    assert json.loads(typed(cancel))["cancelled"] is True
    told = typed(watch)
    assert told.startswith("retry: ")
    assert "event: state\n" in told
    typed(export)
    assert zipfile.ZipFile(home / "case.zip").namelist()


def test_the_error_of_the_page(web: Web) -> None:
    wrong = json.loads(shown("json", '"login"')) | {"nodes": []}
    answer = web.ask("POST", "/jobs", wrong, {"x-request-id": "case-4711"})
    assert answer.json() == json.loads(shown("json", '"field"'))
