"""Slow, silent and hostile clients get a reply or are cut off, and leave nothing behind."""

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from cucmweb.token_file import add
from rig.daemon import Daemon
from rig.quiet import wait_until
from rig.web import Web, running_web

pytestmark = pytest.mark.long


QUICK = "[limits]\npatience = 1\n"
NO_JOB = "/jobs/000000000000"


@pytest.fixture(scope="module")
def _web_of_a_module(
    _daemon_of_a_module: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web") / "web"
    with running_web(folder, _daemon_of_a_module.socket, QUICK) as web:
        yield web


@pytest.fixture
def web(_web_of_a_module: Web) -> Iterator[Web]:
    """Yields a `cucmweb`, and checks after the test that it has no client and answers."""
    yield _web_of_a_module
    wait_until(lambda: _web_of_a_module.clients() == 0)
    assert _web_of_a_module.ask("GET", "/readyz").status == 200


def request(verb: str, path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"{verb} {path} HTTP/{version}", "host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def said(sock: socket.socket) -> bytes:
    """Reads until the connection is closed."""
    parts = []
    with suppress(ConnectionResetError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def statuses(text: bytes) -> list[int]:
    """Returns the statuses of the replies in their order."""
    heads = text.split(b"HTTP/1.1 ")[1:]
    return [int(head[:3]) for head in heads]


def last(sent: bytes) -> bytes:
    return sent.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)


# What is sent slowly, or without end.


def test_silent_connections_shut_nobody_out(web: Web) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    with ExitStack() as stack:
        silent = [stack.enter_context(web.raw()) for _ in range(1000)]
        with web.raw(request("GET", "/healthz")) as sock:
            assert statuses(sock.recv(4096)) == [200]
        assert {said(sock) for sock in silent} == {b""}


def test_one_address_shuts_no_other_out(shared_daemon: Daemon, tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    folder = tmp_path / "web"
    add(folder / "tokens.toml", "page", "view", None)
    with running_web(folder, shared_daemon.socket, tcp=True) as web, ExitStack() as stack:
        assert web.port is not None
        server = ("127.0.0.1", web.port)
        for _ in range(1450):
            stack.enter_context(socket.create_connection(server, 60))
        for source in ("127.0.0.2", "127.0.0.3"):
            with closing(web.connection(source=source)) as connection:
                assert web.asked(connection, "GET", "/healthz").status == 200
        with socket.create_connection(server, 60) as sock:
            assert said(sock) == b""
    assert web.log.read_text().count("too many connections from 127.0.0.1") > 0


# Who leaves.


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /jobs HT",
        request("POST", "/jobs", "content-length: 10") + b"{",
        request("POST", "/jobs", "transfer-encoding: chunked") + b"5\r\n{",
        request("GET", "/jobs"),
        request("GET", "/events"),
        request("GET", "/jobs") * 50,
        request("GET", "/events") + request("GET", "/healthz"),
    ],
)
def test_who_leaves_leaves_nothing(web: Web, sent: bytes) -> None:
    for _ in range(3):
        with web.raw(sent):
            pass
        with web.raw(sent) as sock:
            sock.shutdown(socket.SHUT_WR)


# What is unusual.


@pytest.mark.parametrize(
    ("verb", "target", "status"),
    [
        ("CONNECT", "localhost:22", 404),
        ("GET", "*", 404),
        ("OPTIONS", "/jobs", 405),
        ("BREW", "/jobs", 405),
        ("HEAD", "/jobs", 200),
        ("HEAD", "/events", 405),
        ("GET", "/jobs/%2e%2e/healthz", 404),
        ("GET", "/jobs/..%2f..%2fetc", 404),
        ("GET", "/jobs/a%2ffiles", 404),
        ("GET", "/jobs/%ff", 404),
        ("GET", "/jobs?limit=%ff", 400),
        ("GET", "/jobs?" + "&" * 2000, 400),
        ("GET", f"{NO_JOB}/events?job_id=1", 400),
    ],
)
def test_an_unusual_target_is_answered(web: Web, verb: str, target: str, status: int) -> None:
    with web.raw(last(request(verb, target))) as sock:
        assert statuses(said(sock)) == [status]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (("host: evil.example",), 403),
        (("host: localhost", "origin: http://localhost"), 200),
        (("host: localhost:8080", "origin: http://localhost:8080"), 200),
        (("host: localhost:80", "origin: http://LOCALHOST"), 200),
        (("host: localhost", "origin: http://evil.example"), 403),
        (("host: localhost:8080", "origin: http://localhost:3000"), 403),
        (("host: localhost:8080", "origin: http://localhost"), 403),
        (("host: localhost", "origin: https://localhost"), 403),
        (("host: localhost", "origin: https://localhost", "x-forwarded-proto: https"), 403),
        (("host: localhost", "origin: null"), 403),
        (("host: localhost", "origin: http://localhost", "origin: http://evil.example"), 403),
    ],
)
def test_only_its_own_pages_reach_it(web: Web, headers: tuple[str, ...], status: int) -> None:
    """`ssh -L` gives the Unix socket a port, which pages of other sites can call."""
    lines = ["GET /jobs HTTP/1.1", *headers, "connection: close", "", ""]
    with web.raw("\r\n".join(lines).encode()) as sock:
        assert statuses(said(sock)) == [status]


def test_405_lists_allowed_methods(web: Web) -> None:
    for verb, path, allowed in (
        ("PUT", "/jobs", {"GET", "HEAD", "POST"}),
        ("HEAD", "/events", {"GET"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("GET", f"{NO_JOB}/cancel", {"POST"}),
    ):
        answer = web.ask(verb, path)
        assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, allowed)


# Too much.


def test_streams_per_caller_are_limited(
    shared_daemon: Daemon, make_web: Callable[..., Web]
) -> None:
    web = make_web(shared_daemon, "[limits]\nstreams_per_caller = 2\n")
    with web.raw(request("GET", "/events")) as one, web.raw(request("GET", "/events")) as two:
        assert statuses(one.recv(4096)) == statuses(two.recv(4096)) == [200]
        answer = web.ask("GET", "/events")
        assert (answer.status, answer.json()["code"]) == (429, "TooManyStreams")
        assert web.ask("GET", "/jobs").status == 200

    def has_place() -> bool:
        with web.raw(request("GET", "/events")) as again:
            return statuses(again.recv(4096)) == [200]

    wait_until(has_place)
