"""nginx with the configuration of cucmweb(8).

Behind it is a small server of this file, which uses the authentication of cucmweb.
"""

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cucmweb.authentication import RequestHead, authenticate
from cucmweb.config import accepts_host, for_addresses
from cucmweb.problems import HttpProblem
from rig.nginx import SERVER, Proxy, configuration, needs_nginx, running_nginx, shown
from rig.varlink_peer import short_path
from rig.web import running_web

pytestmark = [pytest.mark.long, needs_nginx]


class Behind(socketserver.ThreadingUnixStreamServer):
    """Replies to a GET with its caller. The second half of `/events` waits until `go_on` is set."""

    def __init__(self, path: Path) -> None:
        self.config = for_addresses(configuration(), [path], has_tokens=False)
        self.go_on = threading.Event()
        super().__init__(str(path), Answering)


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Behind

    def do_GET(self) -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        try:
            caller = authenticate(
                RequestHead(None, headers), (), configuration().proxy, datetime.now(UTC)
            )
        except HttpProblem as refused:
            self.answer(refused.status, [b""])
            return
        host = accepts_host(self.server.config, self.headers["Host"])
        said = {"name": caller and caller.name, "role": caller and caller.role, "host": host}
        self.answer(200, self.halves() if self.path == "/events" else [json.dumps(said).encode()])

    def halves(self) -> Iterator[bytes]:
        yield b"first"
        assert self.server.go_on.wait(60)
        yield b"second"

    def answer(self, status: int, pieces: Iterator[bytes] | list[bytes]) -> None:
        self.close_connection = True
        self.send_response(status)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def address_string(self) -> str:
        return "unix"


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    with short_path() as path:
        path.parent.mkdir()
        with Behind(path) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield server
            server.shutdown()
            thread.join()


@pytest.fixture
def nginx(behind: Behind, tmp_path: Path) -> Iterator[Proxy]:
    with running_nginx(tmp_path, Path(str(behind.server_address))) as proxy:
        yield proxy


def test_without_a_password_nobody_gets_in(nginx: Proxy) -> None:
    with nginx.asked("/") as reply:
        assert reply.status == 401


@pytest.mark.parametrize(("user", "role"), [("olga", "operate"), ("victor", "view")])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Remote-User": "nina", "X-Remote-Role": "operate"},
        {"x_remote_user": "nina", "x_remote_role": "operate"},
    ],
)
def test_name_and_role_come_from_nginx(
    nginx: Proxy, user: str, role: str, headers: dict[str, str]
) -> None:
    with nginx.asked("/", user, headers) as reply:
        assert (reply.status, json.load(reply)) == (200, {"name": user, "role": role, "host": True})


def test_careless_proxy_makes_no_operator(behind: Behind, tmp_path: Path) -> None:
    with running_nginx(tmp_path, Path(str(behind.server_address)), asks=False) as nginx:
        with nginx.asked("/") as reply:
            assert reply.status == 401
        with nginx.asked("/", headers={"X-Remote-User": "olga"}) as reply:
            assert reply.status == 401


def test_events_are_not_buffered(nginx: Proxy, behind: Behind) -> None:
    with nginx.asked("/events", "victor") as reply:
        assert reply.read1() == b"first"
        behind.go_on.set()
        assert reply.read() == b"second"


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Proxy]:
    """Runs nginx in front of a real `cucmweb`, which has no daemon."""
    config = shown("toml", 'trusted = ["unix"]')
    with (
        running_web(tmp_path / "web", tmp_path / "none.sock", config) as web,
        running_nginx(tmp_path, web.socket) as proxy,
    ):
        yield proxy


def test_health_is_told_to_anybody(real: Proxy) -> None:
    for path, status in (("/healthz", 200), ("/readyz", 503), ("/openapi.json", 401)):
        with real.asked(path) as reply:
            assert reply.status == status
    with real.asked("/openapi.json", "olga") as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    ("scheme", "port", "status"), [("https", 0, 200), ("http", 0, 403), ("https", 1, 403)]
)
def test_foreign_pages_are_refused(real: Proxy, scheme: str, port: int, status: int) -> None:
    origin = f"{scheme}://{SERVER}:{real.port + port}"
    with real.asked("/openapi.json", "olga", {"Origin": origin}) as reply:
        assert reply.status == status


def test_two_lengths_do_not_pass(real: Proxy) -> None:
    headers = {"Content-Length": "5", "Transfer-Encoding": "chunked"}
    with real.asked("/openapi.json", "olga", headers) as reply:
        assert reply.status == 400
