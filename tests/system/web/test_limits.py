"""Clients that are slow, silent, hostile or gone: each gets a reply or is cut off, and leaves
nothing.
"""

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
IN_ALL = 201  # connections at once, where one may be an event stream


@pytest.fixture(scope="module")
def _web_of_a_module(
    _daemon_of_a_module: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web") / "web"
    with running_web(folder, _daemon_of_a_module.socket, QUICK) as web:
        yield web


@pytest.fixture
def web(_web_of_a_module: Web) -> Iterator[Web]:
    """Yields it, and asserts after the test that it has no client any more, and answers."""
    yield _web_of_a_module
    wait_until(lambda: _web_of_a_module.clients() == 0)
    assert _web_of_a_module.ask("GET", "/readyz").status == 200


def request(verb: str, path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"{verb} {path} HTTP/{version}", "host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def said(sock: socket.socket) -> bytes:
    """Reads all that comes until the connection is closed."""
    parts = []
    with suppress(ConnectionResetError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def statuses(text: bytes) -> list[int]:
    """Returns those of the replies, in their order."""
    heads = text.split(b"HTTP/1.1 ")[1:]
    return [int(head[:3]) for head in heads]


def last(sent: bytes) -> bytes:
    return sent.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)


# What is sent slowly, or without end.


def test_a_body_without_end_is_refused(web: Web) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = request("POST", "/jobs", "content-type: application/json", "transfer-encoding: chunked")
    with web.raw(head) as sock:
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                sock.sendall(chunk)
        assert statuses(said(sock)) == [413]


@pytest.mark.parametrize(
    ("verb", "path", "status"), [("POST", "/jobs", 408), ("POST", "/", 404), ("GET", "/jobs", 200)]
)
def test_a_body_that_does_not_come_is_waited_for_no_longer(
    web: Web, verb: str, path: str, status: int
) -> None:
    with web.raw(request(verb, path, "content-length: 1000") + b"{") as sock:
        assert statuses(said(sock)) == [status]


@pytest.mark.parametrize("begun", [b"", b"GET /heal", request("GET", "/healthz")[:-2]])
def test_a_head_that_does_not_come_is_waited_for_no_longer(web: Web, begun: bytes) -> None:
    with web.raw(begun) as sock:
        assert said(sock) == b""


def test_a_head_that_comes_a_byte_at_a_time_is_waited_for_no_longer(web: Web) -> None:
    with web.raw() as sock:
        sock.settimeout(0.1)
        while True:
            with suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(b"G")
            with suppress(TimeoutError, ConnectionResetError):
                assert sock.recv(100) == b""
                break


def test_a_thousand_silent_connections_shut_nobody_out(web: Web) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    with ExitStack() as stack:
        silent = [stack.enter_context(web.raw()) for _ in range(1000)]
        with web.raw(request("GET", "/healthz")) as sock:
            assert statuses(sock.recv(4096)) == [200]
        assert {said(sock) for sock in silent} == {b""}


def test_more_clients_than_a_process_may_have_at_first_are_served(
    shared_daemon: Daemon, tmp_path: Path
) -> None:
    first, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
        try:
            web = stack.enter_context(running_web(tmp_path / "web", shared_daemon.socket))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (first, most))
        for _ in range(200):
            stack.enter_context(web.raw())
        assert web.ask("GET", "/readyz").status == 200


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
    assert web.log.read_text().count("too many of 127.0.0.1") == 1


def test_more_connections_than_in_all_are_closed(shared_daemon: Daemon, tmp_path: Path) -> None:
    with (
        running_web(tmp_path / "web", shared_daemon.socket, "[limits]\nstreams = 1\n") as web,
        ExitStack() as stack,
    ):
        for _ in range(IN_ALL):
            stack.enter_context(web.raw())
        wait_until(lambda: web.clients() == IN_ALL)
        with web.raw() as sock:
            assert said(sock) == b""
        assert web.clients() == IN_ALL


def test_a_connection_that_is_used_again_is_waited_for_no_longer(web: Web) -> None:
    with web.raw(request("GET", "/healthz")) as sock:
        assert statuses(said(sock)) == [200]


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


def test_who_leaves_is_not_waited_for(shared_daemon: Daemon, tmp_path: Path) -> None:
    with running_web(tmp_path / "web", shared_daemon.socket, "[limits]\npatience = 3600\n") as web:
        for sent in (b"", b"GET /jobs HT", request("GET", "/jobs")):
            with web.raw(sent):
                wait_until(lambda: web.clients() == 1)
            wait_until(lambda: web.clients() == 0)


def test_who_shuts_down_its_half_is_answered(web: Web) -> None:
    sent = request("GET", "/healthz") + request("GET", "/jobs") + request("GET", NO_JOB)
    with web.raw(sent) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert statuses(said(sock)) == [200, 200, 404]


# What is unusual.


def test_pipelined_requests_are_answered_in_their_order(web: Web) -> None:
    sent = request("GET", "/healthz") + request("GET", NO_JOB) + request("GET", "/readyz")
    with web.raw(sent) as sock:
        assert statuses(said(sock)) == [200, 404, 200]


@pytest.mark.parametrize(
    "headers",
    [
        ("content-length: 2", "content-length: 3"),
        ("content-length: 2", "transfer-encoding: gzip"),
        ("content-length: -1",),
        ("transfer-encoding: gzip, chunked",),
        ("host: localhost",),
        (" folded: 1",),
        ("a\x00b: 1",),
        ("a: \x00",),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(
    web: Web, headers: tuple[str, ...]
) -> None:
    with web.raw(request("POST", f"{NO_JOB}/cancel", *headers) + b"{}") as sock:
        (status,) = statuses(said(sock))
        assert status in (400, 403, 501)


def test_a_body_with_two_lengths_smuggles_no_request(web: Web) -> None:
    headers = ("content-length: 5", "transfer-encoding: chunked", "content-type: application/json")
    sent = request("POST", f"{NO_JOB}/cancel", *headers) + b"2\r\n{}\r\n0\r\n\r\n"
    with web.raw(sent + request("GET", "/healthz")) as sock:
        assert statuses(reply := said(sock)) == [400]
    assert b'"code":"MalformedRequest"' in reply


def test_a_body_in_chunks_is_read(web: Web) -> None:
    headers = ("transfer-encoding: chunked", "content-type: application/json")
    sent = (
        request("POST", f"{NO_JOB}/cancel", *headers) + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\na: b\r\n\r\n"
    )
    with web.raw(sent) as sock:
        assert statuses(said(sock)) == [404]


def test_who_waits_for_100_is_told_to_go_on(web: Web) -> None:
    headers = ("content-length: 2", "content-type: application/json", "expect: 100-continue")
    with web.raw(request("POST", f"{NO_JOB}/cancel", *headers)) as sock:
        assert statuses(sock.recv(4096)) == [100]
        sock.sendall(b"{}")
        assert statuses(said(sock)) == [404]


def test_http_2_is_not_spoken(web: Web) -> None:
    upgrade = ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    with web.raw(request("GET", "/healthz", *upgrade)) as sock:
        assert statuses(said(sock)) == [200]
    with web.raw(preface) as sock:
        assert statuses(said(sock))[0] == 505


def test_a_websocket_is_not_spoken(web: Web) -> None:
    upgrade = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")
    with web.raw(request("GET", "/healthz", *upgrade, "sec-websocket-key: AAAA")) as sock:
        assert statuses(said(sock)) == [200]


@pytest.mark.parametrize(
    ("verb", "target", "status"),
    [
        ("CONNECT", "localhost:22", 404),
        ("GET", "http://localhost/healthz", 404),
        ("GET", "*", 404),
        ("OPTIONS", "*", 404),
        ("OPTIONS", "/jobs", 405),
        ("TRACE", "/jobs", 405),
        ("BREW", "/jobs", 405),
        ("HEAD", "/healthz", 200),
        ("HEAD", "/jobs", 200),
        ("HEAD", NO_JOB, 404),
        ("HEAD", "/events", 405),
        ("GET", "/jobs/%2e%2e/healthz", 404),
        ("GET", "/jobs/../healthz", 404),
        ("GET", "//healthz", 404),
        ("GET", "/jobs/..%2f..%2fetc", 404),
        ("GET", "/jobs/a%2ffiles", 404),
        ("GET", "/jobs/%00", 404),
        ("GET", "/jobs/%ff", 404),
        ("GET", "/jobs/%", 404),
        ("GET", "/jobs/%c3%a9", 404),
        ("GET", "/jobs?limit=%ff", 400),
        ("GET", "/jobs?status=%00", 400),
        ("GET", "/jobs?" + "&" * 2000, 400),
        ("GET", f"{NO_JOB}/events?job_id=1", 400),
    ],
)
def test_an_unusual_target_is_answered(web: Web, verb: str, target: str, status: int) -> None:
    with web.raw(last(request(verb, target))) as sock:
        assert statuses(said(sock)) == [status]


@pytest.mark.parametrize(
    "line", ["a: " + "b" * 100_000, "\r\n".join(f"a{n}: b" for n in range(20_000))]
)
def test_headers_that_are_too_long_are_refused(web: Web, line: str) -> None:
    with web.raw() as sock:
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(request("GET", "/healthz", line))
        assert statuses(said(sock)) == [431]


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "x-request-id",
        "last-event-id",
        "idempotency-key",
        "content-type",
        "origin",
        "authorization",
    ],
)
def test_a_header_that_is_not_ascii_is_no_defect(web: Web, name: str) -> None:
    for verb, path in (("GET", "/events"), ("POST", f"{NO_JOB}/retry"), ("GET", "/healthz")):
        with web.raw(last(request(verb, path, f"{name}: \xe9\xff"))) as sock:
            (status,) = statuses(sock.recv(65536))
            assert status < 500


def test_an_older_client_is_answered(web: Web) -> None:
    with web.raw(request("GET", "/healthz", version="1.0")) as sock:
        assert statuses(said(sock)) == [200]
    with web.raw(b"GET /healthz HTTP/0.9\r\n\r\n") as sock:
        assert statuses(said(sock)) in ([400], [505])


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
    """`ssh -L` gives the Unix socket a port, which pages of other sites and ports can call."""
    lines = ["GET /jobs HTTP/1.1", *headers, "connection: close", "", ""]
    with web.raw("\r\n".join(lines).encode()) as sock:
        assert statuses(said(sock)) == [status]


def test_a_method_that_is_refused_names_those_allowed(web: Web) -> None:
    for verb, path, allowed in (
        ("PUT", "/jobs", {"GET", "HEAD", "POST"}),
        ("HEAD", "/events", {"GET"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("GET", f"{NO_JOB}/cancel", {"POST"}),
    ):
        answer = web.ask(verb, path)
        assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, allowed)


# Too much.


def test_a_caller_may_not_have_too_many_streams(
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
