"""`cucmctl upload` to real servers: nginx with WebDAV, a proxy, and one that misbehaves."""

import hashlib
import os
import re
import signal
import socket
import threading
import time
from base64 import b64encode
from copy import copy
from io import BytesIO
from pathlib import Path

import pytest
from urllib3 import Retry

from cucmctl.cli import exits
from cucmctl.upload import https_put
from cucmctl.upload.destination import destination_of
from cucmctl.upload.https_put import put
from rig import upload_servers, written
from rig.gpg_home import KEY, needs_gpg
from rig.nginx import needs_nginx
from rig.process import command_line
from rig.upload_servers import CASE, TOKEN, ConnectProxy, OddServer, running, running_webdav

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def webdav(servers):
    with running_webdav(servers) as host:
        yield host


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / f"case é% {tmp_path.name}.zip"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(autouse=True)
def _trusted(servers, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(servers / "ca.crt"))


@needs_nginx
def test_case_gets_the_file(ctl, webdav, servers, file):
    done = ctl(
        "upload", str(file), "cxd", "--case", CASE, CUCM_CXD_HOST=webdav, CUCM_UPLOAD_TOKEN=TOKEN
    )
    assert done.returncode == 0, done.stderr
    assert (servers / "home" / file.name).read_bytes() == CONTENT
    assert done.stdout == f"{hashlib.sha256(CONTENT).hexdigest()}  {file.name}\n"


@needs_nginx
def test_wrong_token_is_refused(ctl, webdav, servers, file):
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
    assert not (servers / "home" / file.name).exists()


@needs_nginx
@pytest.mark.parametrize(("folder", "size", "code"), [("500", 1, 1), ("inbox", 50_000_000, 1)])
def test_refusals_become_exit_codes(ctl, webdav, file, folder, size, code):
    with file.open("r+b") as large:
        large.truncate(size)
    done = ctl("upload", str(file), f"https://{webdav}/{folder}/")
    assert done.returncode == code
    assert ("500" if folder == "500" else "413") in done.stderr


@needs_nginx
def test_proxy_of_environment_connects(ctl, webdav, servers, file):
    proxy = ConnectProxy()
    with running(proxy.serve) as host:
        done = ctl(
            "upload",
            str(file),
            f"https://{webdav}/inbox/",
            HTTPS_PROXY=f"http://olga:Proxy-Secret@{host}",
        )
    assert done.returncode == 0, done.stderr
    assert (servers / "inbox" / file.name).read_bytes() == CONTENT
    assert proxy.requests[0].startswith(f"CONNECT {webdav} ")
    assert "proxy-authorization: basic b2xnytpqcm94es1tzwnyzxq=" in proxy.requests[0].lower()


def test_untrusted_certificate_gets_nothing(ctl, odd, file):
    done = ctl("upload", str(file), f"https://{odd.host}/", SSL_CERT_FILE="/dev/null")
    assert done.returncode == 69
    assert odd.requests == []


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (b"404 Not Found\r\n\r\n", "has no such file"),
        (b"200 OK\r\nContent-Length: 17\r\n\r\n", "with 17 bytes"),
        (b"405 Not Allowed\r\n\r\n", "not known"),
    ],
)
def test_broken_upload_says_what_is_known(ctl, odd, file, head, known):
    os.truncate(file, 50_000_000)
    odd.most = 45_000_000
    odd.answer = lambda request: b"HTTP/1.1 " + head
    done = ctl("upload", str(file), f"https://{odd.host}/")
    assert done.returncode == 1
    (share,) = re.findall(r"\((\d+)%\)", done.stderr)
    assert 90 <= int(share) < 100  # a part was still in the buffers of the kernel
    assert known in done.stderr
    assert [request.split()[0] for request in odd.requests] == ["PUT", "HEAD"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"201 \x1b]0;owned\x07\r\n\r\n", 0),
        (b"200 OK\r\n\r\n", 0),
        (b"202 Accepted\r\n\r\n", 1),
        (b"201 Created\r\nContent-Length: 1000000000000\r\n\r\n" + bytes(10_000_000), 0),
        (b"500 \x1b]0;owned\x07\x1b[2J\r\n\r\n", 1),
        (b"503 Wait\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", 1),
        (b"401 \x9b2J\r\n\r\n", 77),
    ],
)
def test_one_request_for_every_answer(ctl, odd, file, answer, code):
    odd.answer = lambda request: b"HTTP/1.1 " + answer
    done = ctl("upload", str(file), f"https://{odd.host}/")
    assert done.returncode == code
    assert [request.split()[0] for request in odd.requests] == ["PUT"]
    assert all(line.isprintable() for line in done.stderr.splitlines())


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("403 Forbidden", 77)])
def test_presigned_address_stays_as_it_is(ctl, odd, file, status, code):
    """An object store signs the address, and takes no body of unknown length."""
    target = "/cases/a%20b/x%2By.zip?X-Amz-Credential=A%2FB&x-id=PutObject&X-Amz-Signature=5ecret"
    odd.answer = lambda request: f"HTTP/1.1 {status}\r\n\r\n".encode()
    done = ctl("upload", str(file), f"https://{odd.host}{target}")
    assert done.returncode == code
    request = odd.requests[0]
    assert request.startswith(f"PUT {target} HTTP/1.1\r\nHost: {odd.host}\r\n")
    assert f"Content-Length: {len(CONTENT)}\r\n" in request
    assert "transfer-encoding" not in request.lower()
    assert "authorization" not in request.lower()
    assert "5ecret" not in done.stdout + done.stderr


def test_early_answer_is_not_success(odd, file):
    """The server answers, and closes the connection without reading the whole file."""
    os.truncate(file, 50_000_000)
    odd.early = True
    odd.hold.clear()

    def tell(done: int) -> None:
        if done > 30_000_000:
            odd.hold.set()

    to = destination_of(f"https://{odd.host}/", file.name, case=None)
    # The reset of the connection can overtake the answer. Neither of them is a success.
    failed = pytest.raises(exits.Failed, match=r"before it had the file|broke off")
    with file.open("rb") as content, failed:
        put(content, 50_000_000, to, None, tell)
    assert [request.split()[0] for request in odd.requests] == ["PUT", "HEAD"]


def test_attacked_connection_is_not_tried_again(ctl, odd, file):
    odd.no_tls = True
    done = ctl("upload", str(file), f"https://{odd.host}/")
    assert done.returncode == 1
    assert [request.split()[0] for request in odd.requests] == ["PUT", "HEAD"]


def test_case_needs_status_201(ctl, odd, file):
    odd.answer = lambda request: b"HTTP/1.1 200 OK\r\n\r\n"
    arguments = ("upload", str(file), "cxd", "--case", CASE)
    done = ctl(*arguments, CUCM_CXD_HOST=odd.host, CUCM_UPLOAD_TOKEN=TOKEN)
    assert done.returncode == 1


def test_redirect_is_not_followed(ctl, odd, servers, file):
    other = OddServer(servers)
    with running(other.serve) as host:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: https://{host}/x\x1b[2J\r\n\r\n"
        odd.answer = lambda request: moved.encode()
        done = ctl("upload", str(file), f"https://olga@{odd.host}/", CUCM_UPLOAD_TOKEN=TOKEN)
    assert done.returncode == 1
    assert other.requests == []
    assert host in done.stderr
    assert all(line.isprintable() for line in done.stderr.splitlines())


def test_missing_answer_is_not_success(odd, file):
    """A server may take minutes for its answer, but not for ever."""
    odd.hold.clear()
    to = destination_of(f"https://{odd.host}/", file.name, case=None)
    with file.open("rb") as content:
        with pytest.raises(exits.Failed, match=r"all 1\.0 MB were sent") as failed:
            put(content, len(CONTENT), to, None, lambda done: None, answer=0.2, ask=0.2)
        odd.hold.set()
    assert failed.value.code == 1


def test_endless_answer_is_not_success(odd, file):
    """Each `100 Continue` comes in time, but the answer never comes. Some versions of Python count
    them, and others wait until the time is over.
    """
    odd.endless = True
    odd.answer = lambda request: b"HTTP/1.1 100 Continue\r\n\r\n"
    to = destination_of(f"https://{odd.host}/", file.name, case=None)
    with file.open("rb") as content, pytest.raises(exits.Failed) as failed:
        put(content, len(CONTENT), to, None, lambda done: None, answer=0.2, ask=0.2)
    assert (failed.value.code, "look there before" in str(failed.value)) == (1, True)


def test_late_answer_is_success(odd, file):
    odd.answer = lambda request: time.sleep(0.5) or b"HTTP/1.1 201 Created\r\n\r\n"
    to = destination_of("cxd", file.name, case=CASE, cxd_host=odd.host)
    with file.open("rb") as content:
        checksum = put(content, len(CONTENT), to, TOKEN, lambda done: None, answer=30)
    assert checksum == hashlib.sha256(CONTENT).hexdigest()


def test_growing_file_is_sent_as_it_was(odd):
    to = destination_of(f"https://{odd.host}/", "x", case=None)
    checksum = put(BytesIO(CONTENT + b"later"), len(CONTENT), to, None, lambda done: None)
    assert checksum == hashlib.sha256(CONTENT).hexdigest()


def test_shrinking_file_is_not_success(odd):
    to = destination_of(f"https://{odd.host}/", "x", case=None)
    with pytest.raises(exits.Failed):
        put(BytesIO(CONTENT[:-1]), len(CONTENT), to, None, lambda done: None)


def test_refused_connection_is_tried_again(servers, file):
    """Nothing was stored yet."""
    odd = OddServer(servers)
    thread = threading.Thread(target=lambda: odd.serve(server.accept()[0]), daemon=True)

    class ListenAtRetry(Retry):
        def increment(self, *arguments, **options):
            server.listen()
            thread.start()
            return super().increment(*arguments, **options)

    retries = copy(https_put.RETRIES)
    retries.__class__ = ListenAtRetry
    with socket.socket() as server:
        server.settimeout(10)
        server.bind(("127.0.0.1", 0))
        to = destination_of(f"https://localhost:{server.getsockname()[1]}/", "x", case=None)
        with file.open("rb") as content:
            put(content, len(CONTENT), to, None, lambda done: None, retries=retries)
        thread.join()
    assert len(odd.requests) == 1


@pytest.fixture
def holding(odd, file):
    """A server that takes a part of a large file, and then nothing more."""
    os.truncate(file, 50_000_000)
    odd.most = 1_000_000
    odd.hold = threading.Event()
    yield odd
    odd.hold.set()


def test_ctrl_c_says_what_was_sent(process, holding, environ, file):
    running = process("upload", str(file), f"https://{holding.host}/", env=trusting(environ))
    assert holding.came.wait(30)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert re.search(r"interrupted; .*\(\d+%\)", said)
    assert "Traceback" not in said


def test_terminal_shows_rate_and_time(terminal, holding, file):
    trusted = os.environ["SSL_CERT_FILE"]
    screen = terminal("upload", str(file), f"https://{holding.host}/", SSL_CERT_FILE=trusted)
    screen.until("/50.0 MB")
    screen.until("MB/s")
    screen.until(" left")


def test_typed_token_is_used_once(terminal, odd, file):
    trusted = os.environ["SSL_CERT_FILE"]
    arguments = ("upload", str(file), "cxd", "--case", CASE)
    screen = terminal(*arguments, SSL_CERT_FILE=trusted, CUCM_CXD_HOST=odd.host)
    screen.until(f"Token of {CASE} at localhost: ")
    screen.type(f"wrong\x15{TOKEN}\n")  # Ctrl-U, as people type it
    assert screen.ended() == 0
    assert b64encode(f"{CASE}:{TOKEN}".encode()).decode().lower() in odd.requests[0].lower()
    assert TOKEN not in screen.raw
    assert screen.settings == screen.before


@pytest.mark.parametrize(("typed", "code"), [("\n", 2), ("\x04", 2), ("\x03", 130)])
def test_no_token_sends_nothing(terminal, odd, file, typed, code):
    screen = terminal("upload", str(file), "cxd", "--case", CASE, CUCM_CXD_HOST=odd.host)
    screen.until("Token of ")
    screen.type(typed)
    assert screen.ended() == code
    assert "nothing was started" in screen.screen
    assert odd.requests == []


def trusting(environ: dict[str, str], **more: str) -> dict[str, str]:
    return {**environ, "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"], **more}


@needs_gpg
def test_token_stays_in_the_process(process, odd, environ, gpg, file, tmp_path):
    written.PASSWORDS.add(TOKEN)
    programs = upload_servers.record_program(tmp_path, "gpg")
    odd.hold.clear()
    path = f"{programs}:{os.environ['PATH']}"
    more = {"CUCM_UPLOAD_TOKEN": TOKEN, "CUCM_CXD_HOST": odd.host, "PATH": path}
    running = process(
        *("upload", str(file), "cxd", "--case", CASE, "--encrypt-to", KEY),
        env=trusting(environ, GNUPGHOME=str(gpg), **more),
    )
    assert odd.came.wait(30)
    lines = [command_line(int(pid)) for pid in os.listdir("/proc") if pid.isdigit()]
    odd.hold.set()
    assert running.communicate(timeout=30)[0]
    assert f"basic {b64encode(f'{CASE}:{TOKEN}'.encode()).decode()}".lower() in (
        odd.requests[0].lower()
    )
    assert written.found_in("\n".join(lines).encode()) == []
    assert "--recipient" in (tmp_path / "gpg.said").read_text()
    for found in [*tmp_path.rglob("*"), *gpg.rglob("*")]:
        if found.is_file():
            assert written.found_in(found.read_bytes()) == [], found
