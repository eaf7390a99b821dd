"""`export --upload` and `--encrypt-to`, with a daemon and its job."""

import json
import os
import subprocess
import zipfile
from base64 import b64encode
from io import BytesIO

import pytest

from rig.collected import JOB_ID
from rig.exported import SMALL, running_case
from rig.gpg_home import KEY, gpg_home, needs_gpg
from rig.upload_servers import CASE, TOKEN

CASE_ZIP = f"case-{CASE}.zip"


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    with running_case(tmp_path_factory.mktemp("handover"), dict(list(SMALL.items())[:9])) as case:
        assert case.daemon.ctl("label", JOB_ID, f"case={CASE}").returncode == 0
        yield case


@pytest.fixture
def server(tmp_path, servers, odd):
    odd.environ = {
        **os.environ,
        "SSL_CERT_FILE": str(servers / "ca.crt"),
        "CUCM_CXD_HOST": odd.host,
        "CUCM_UPLOAD_TOKEN": TOKEN,
        "GNUPGHOME": str(tmp_path / "gpg"),
    }
    return odd


@pytest.fixture
def here(tmp_path):
    (folder := tmp_path / "here").mkdir()
    return folder


def test_label_names_the_case(case, server, here):
    done = case.daemon.ctl("export", JOB_ID, "--upload", "cxd", cwd=here, env=server.environ)
    assert done.returncode == 0, done.stderr
    request = server.requests[0].lower()
    assert request.startswith(f"put /home/{CASE_ZIP} ")
    assert b64encode(f"{CASE}:{TOKEN}".encode()).decode().lower() in request
    assert [path.name for path in here.iterdir()] == [CASE_ZIP]


def test_json_has_both_results(case, server, here):
    arguments = ("--json", "export", JOB_ID, "--upload", "cxd", "--case", "7")
    done = case.daemon.ctl(*arguments, cwd=here, env=server.environ)
    export, upload = map(json.loads, done.stdout.splitlines())
    assert export["path"] == str(here / CASE_ZIP)
    assert upload["bytes"] == (here / CASE_ZIP).stat().st_size


def test_masked_export_is_uploaded(case, server, here, tmp_path):
    server.environ["XDG_DATA_HOME"] = str(tmp_path)
    arguments = ("export", JOB_ID, "--mask", "--upload", "cxd", "-o", "masked.zip")
    done = case.daemon.ctl(*arguments, cwd=here, env=server.environ)
    assert done.returncode in (0, 3), done.stderr
    (request,) = server.requests
    assert request.startswith("PUT /home/masked.zip ")
    assert f"Content-Length: {(here / 'masked.zip').stat().st_size}\r\n" in request


def test_export_stays_after_failed_upload(case, server, here):
    server.answer = lambda request: b"HTTP/1.1 500 No\r\n\r\n"
    done = case.daemon.ctl("export", JOB_ID, "--upload", "cxd", cwd=here, env=server.environ)
    assert done.returncode == 1
    assert zipfile.is_zipfile(here / CASE_ZIP)


@needs_gpg
def test_only_encrypted_file_stays(case, server, here, tmp_path):
    with gpg_home(tmp_path / "gpg"):
        arguments = ("export", JOB_ID, "--encrypt-to", KEY, "-o", "x.zip.gpg")
        done = case.daemon.ctl(*arguments, cwd=here, env=server.environ)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in here.iterdir()] == ["x.zip.gpg"]
        opened = subprocess.run(
            ["gpg", "--batch", "-d", here / "x.zip.gpg"],
            env=server.environ,
            check=True,
            capture_output=True,
        )
        assert zipfile.ZipFile(BytesIO(opened.stdout)).testzip() is None
        again = case.daemon.ctl(*arguments, cwd=here, env=server.environ)
        assert again.returncode == 2  # and no export without encryption is left
        assert [path.name for path in here.iterdir()] == ["x.zip.gpg"]
        server.environ["XDG_DATA_HOME"] = str(tmp_path)
        masked = case.daemon.ctl(*arguments, "--mask", cwd=here, env=server.environ)
        assert masked.returncode == 2
        assert [path.name for path in here.iterdir()] == ["x.zip.gpg"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--upload", "cxd", "-o", "-"),
        ("--upload", "cxd", "--format", "dir", "-o", "x"),
        ("--upload", "http://localhost/"),
        ("--upload", "https://localhost/", "--token-file", "x"),
        ("--case", CASE),
        ("--encrypt-to", "nobody@example.org", "-o", "-"),
        ("--encrypt-to", "x", "--encrypt-with-password"),
    ],
)
def test_wrong_usage_writes_nothing(case, server, here, arguments):
    done = case.daemon.ctl("export", JOB_ID, *arguments, cwd=here, env=server.environ)
    assert done.returncode == 2
    assert list(here.iterdir()) == []
    assert server.requests == []
