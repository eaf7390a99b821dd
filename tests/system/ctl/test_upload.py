"""`cucmctl upload` to real servers: nginx with WebDAV, a proxy, and one that misbehaves."""

import hashlib
from pathlib import Path

import pytest

from rig import upload_servers
from rig.nginx import needs_nginx
from rig.upload_servers import CASE, TOKEN, ConnectProxy, OddServer, running, running_webdav

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The folder of the servers, with certificates."""
    folder = tmp_path_factory.mktemp("servers")
    upload_servers.make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def webdav(store):
    with running_webdav(store) as host:
        yield host


@pytest.fixture
def odd(store):
    server = OddServer(store)
    with running(server.serve) as host:
        server.host = host
        yield server


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / f"case é% {tmp_path.name}.zip"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(autouse=True)
def _trusted(store, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(store / "ca.crt"))


@needs_nginx
def test_case_gets_the_file(ctl, webdav, store, file):
    done = ctl(
        "upload", str(file), "cxd", "--case", CASE, CUCM_CXD_HOST=webdav, CUCM_UPLOAD_TOKEN=TOKEN
    )
    assert done.returncode == 0, done.stderr
    assert (store / "home" / file.name).read_bytes() == CONTENT
    assert done.stdout == f"{hashlib.sha256(CONTENT).hexdigest()}  {file.name}\n"


@needs_nginx
def test_wrong_token_is_refused(ctl, webdav, store, file):
    done = ctl(
        "upload",
        str(file),
        "cxd",
        "--case",
        CASE,
        CUCM_CXD_HOST=webdav,
        CUCM_UPLOAD_TOKEN="No-Such-Token",
    )
    assert done.returncode == 77
    assert "No-Such-Token" not in done.stderr
    assert not (store / "home" / file.name).exists()


@needs_nginx
@pytest.mark.parametrize(("folder", "size", "code"), [("500", 1, 1), ("inbox", 50_000_000, 1)])
def test_refusals_become_exit_codes(ctl, webdav, file, folder, size, code):
    with file.open("r+b") as large:
        large.truncate(size)
    done = ctl("upload", str(file), f"https://{webdav}/{folder}/")
    assert done.returncode == code
    assert ("500" if folder == "500" else "413") in done.stderr


@needs_nginx
def test_proxy_of_environment_connects(ctl, webdav, store, file):
    proxy = ConnectProxy()
    with running(proxy.serve) as host:
        done = ctl(
            "upload",
            str(file),
            f"https://{webdav}/inbox/",
            HTTPS_PROXY=f"http://olga:Proxy-Secret@{host}",
        )
    assert done.returncode == 0, done.stderr
    assert (store / "inbox" / file.name).read_bytes() == CONTENT
    assert proxy.requests[0].startswith(f"CONNECT {webdav} ")
    assert "proxy-authorization: basic b2xnytpqcm94es1tzwnyzxq=" in proxy.requests[0].lower()


def test_untrusted_certificate_gets_nothing(ctl, odd, file):
    done = ctl("upload", str(file), f"https://{odd.host}/", SSL_CERT_FILE="/dev/null")
    assert done.returncode == 69
    assert odd.requests == []
