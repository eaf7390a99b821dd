"""The HTTP server: its answers to bytes at any split, and the clients that it cuts off."""

import re
from collections.abc import Iterable, Sequence

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from cucmweb.config import ProxySettings, WebLimits
from cucmweb.problems import HttpProblem
from cucmweb.server import Disconnected, HttpChannel, HttpConnection, HttpServer
from rig.tries import tries

LIMITS = WebLimits(body=1024, patience=30)
PATIENCE = LIMITS.patience


async def answer(channel: HttpChannel) -> None:
    """Replies with the request and its body. Other paths do what their names say."""
    match channel.path:
        case "/ignore":
            body = b""
        case "/fail":
            raise KeyError
        case "/busy":
            raise HttpProblem(503, "Busy", "later") from OSError("/secret/path")
        case "/chunks":
            body = b"%d" % len(await channel.body(1024**2))
        case "/none":
            channel.start(204, {})
            await channel.end()
            return
        case "/wait":
            await channel.left()
            raise Disconnected
        case "/much":
            channel.start(200, {})
            for _ in range(100):
                await channel.send(b"x" * 100_000)
            await channel.end()
            return
        case "/cut":
            channel.start(200, {})
            await channel.send(b"x")
            raise HttpProblem(500, "Damaged", "damaged")
        case _:
            body = await channel.body(LIMITS.body)
    said = b"%s %s %s." % (channel.method.encode(), channel.path.encode(), body)
    channel.start(200, {"content-length": str(len(said))})
    await channel.end(said)


def request(verb: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{verb} {path} HTTP/1.1", "host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


GET = request("GET", "/get")
POST = request("POST", "/post", "content-length: 4", body=b"body")
CHUNKED = request(
    "POST",
    "/post",
    "transfer-encoding: chunked",
    body=b"3\r\nbod\r\n1;x=y\r\ny\r\n0\r\nt: u\r\n\r\n",
)
BEHIND = request("GET", "/smuggled", "x-remote-user: olga")


class Client:
    """The other end of a connection. `ended` is set once the server has closed it."""

    def __init__(self, nursery: trio.Nursery, server: HttpServer) -> None:
        self.stream, other = trio.testing.memory_stream_pair()
        self.ended = trio.Event()
        nursery.start_soon(self._serve, server, other)

    async def _serve(self, server: HttpServer, other: trio.StapledStream) -> None:
        async with other:
            try:
                await HttpConnection(server, other, "192.0.2.1").serve()  # type: ignore[arg-type]
            except Disconnected:
                pass
        self.ended.set()

    async def said(self) -> bytes:
        """Returns everything up to the end of the server's stream, then closes this end."""
        parts = []
        try:
            while part := await self.stream.receive_some():
                parts.append(part)
        except trio.BrokenResourceError:
            pass
        await self.stream.aclose()
        await self.ended.wait()
        return b"".join(bytes(part) for part in parts)


def new_server() -> HttpServer:
    return HttpServer(answer, LIMITS, ProxySettings())


async def told(pieces: Iterable[bytes], *, half_closes: bool = True) -> bytes:
    """Sends these pieces and returns everything that the server sends."""
    async with trio.open_nursery() as nursery:
        client = Client(nursery, new_server())
        for piece in pieces:
            await client.stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        if half_closes:
            await client.stream.send_eof()
        return await client.said()
    raise AssertionError


def statuses(text: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", text)]


def bodies(text: bytes) -> list[bytes]:
    return re.findall(rb"\r\n\r\n(\w+ /\w+ \w*)\.", text)


def pieces_of(text: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    begins = [0, *ends[:-1]]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True) if begin < end]


# Each with the statuses and what is read of the requests.
TALKS = {
    "one": (GET, [200], [b"GET /get "]),
    "pipelined": (
        GET + POST + CHUNKED + GET,
        [200] * 4,
        [b"GET /get ", b"POST /post body", b"POST /post body", b"GET /get "],
    ),
    "lf-alone": (POST.replace(b"\r\n", b"\n"), [200], [b"POST /post body"]),
    "both-lengths": (
        request("POST", "/a", "content-length: 4", "transfer-encoding: chunked")
        + b"0\r\n\r\n"
        + BEHIND,
        [400],
        [],
    ),
    "chunked-of-http-1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + BEHIND, [400], []),
    "two-lengths": (
        request("POST", "/a", "content-length: 4", "content-length: 5", body=b"body") + BEHIND,
        [400],
        [],
    ),
    "body-unread": (
        request("POST", "/ignore", f"content-length: {len(BEHIND)}") + BEHIND + GET,
        [200],
        [b"POST /ignore "],
    ),
    "body-too-long": (
        request("POST", "/a", "content-length: 2000", body=b"x" * 2000) + BEHIND,
        [413],
        [],
    ),
    "chunk-end-missing": (
        request("POST", "/a", "transfer-encoding: chunked", body=b"1\r\nxyy0\r\n\r\n") + BEHIND,
        [400],
        [],
    ),
    "body-incomplete": (request("POST", "/a", "content-length: 9", body=b"1234"), [400], []),
    "closes": (request("GET", "/get", "connection: close") + BEHIND, [200], [b"GET /get "]),
    "head-only": (request("HEAD", "/get") + GET, [200, 200], [b"GET /get "]),
    "upgrade": (
        request("GET", "/get", "connection: upgrade", "upgrade: websocket") + GET,
        [200, 200],
        [b"GET /get ", b"GET /get "],
    ),
    "http-2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", [505], []),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400], []),
    "no-host": (b"GET / HTTP/1.1\r\n\r\n" + BEHIND, [400], []),
    "fails": (request("GET", "/fail") + GET, [500, 200], [b"GET /get "]),
    "incomplete-head": (b"GET /get HT", [], []),
}


def answers(pieces: Iterable[bytes]) -> tuple[list[int], list[bytes]]:
    async def talk() -> bytes:
        return await told(pieces)

    text = trio.run(talk, clock=MockClock(autojump_threshold=0))
    return statuses(text), bodies(text)


@pytest.mark.parametrize("name", TALKS)
def test_requests_are_answered(name: str) -> None:
    sent, *expected = TALKS[name]
    assert answers([sent]) == tuple(expected)


@tries(200)
@given(name=st.sampled_from(list(TALKS)), cuts=st.lists(st.integers(0, 1000), max_size=12))
def test_splits_change_no_answer(name: str, cuts: list[int]) -> None:
    sent, *expected = TALKS[name]
    assert answers(pieces_of(sent, cuts)) == tuple(expected)


@given(noise=st.binary(max_size=200), at=st.integers(0, 300), instead=st.booleans())
def test_noise_breaks_nothing(noise: bytes, at: int, instead: bool) -> None:
    sent = GET + CHUNKED + POST
    at = at % len(sent)
    found, _ = answers([sent[:at] + noise + sent[at + len(noise) * instead :]])
    assert set(found) <= {100, 200, 400, 413, 431, 501, 505}


async def test_malformed_requests_get_a_problem(autojump_clock: MockClock) -> None:
    text = await told([request("GET", "/get", "authorization : Bearer secret")])
    assert b"application/problem+json" in text
    assert b"connection: close" in text
    assert b'"code":"MalformedRequest"' in text
    assert b"secret" not in text


@pytest.mark.parametrize(("chunks", "status"), [(16_000, 200), (17_000, 413)])
async def test_chunks_of_a_body_are_limited(
    autojump_clock: MockClock, chunks: int, status: int
) -> None:
    head = request("POST", "/chunks", "transfer-encoding: chunked")
    assert statuses(await told([head + chunks * b"1\r\nx\r\n" + b"0\r\n\r\n"])) == [status]


async def test_a_cut_reply_has_no_end(autojump_clock: MockClock) -> None:
    text = await told([request("GET", "/cut") + GET])
    assert text.endswith(b"1\r\nx\r\n")


async def test_reasons_stay_in_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert b"/secret/path" not in await told([request("GET", "/busy")])
    assert "GET /busy by nobody from 192.0.2.1: 503" in caplog.text
    assert "/secret/path" in caplog.text


# What takes its time.


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", []),
        (GET[:-1], []),
        (GET, [200]),
        (request("POST", "/post", "content-length: 9", body=b"1234"), [408]),
        (request("POST", "/post", "transfer-encoding: chunked", body=b"1\r\n"), [408]),
    ],
)
async def test_silent_clients_are_cut_off(
    autojump_clock: MockClock, sent: bytes, expected: list[int]
) -> None:
    with trio.fail_after(2 * PATIENCE + 1):
        assert statuses(await told([sent] if sent else [], half_closes=False)) == expected


async def test_slow_readers_are_cut_off(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        server = new_server()
        client, other = trio.testing.lockstep_stream_pair()
        nursery.start_soon(client.send_all, request("GET", "/much"))
        with trio.fail_after(2 * PATIENCE + 1), pytest.raises(Disconnected):
            await HttpConnection(server, other, None).serve()  # type: ignore[arg-type]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("ahead", [0, 100])
async def test_clients_that_leave_are_noticed(autojump_clock: MockClock, ahead: int) -> None:
    async with trio.open_nursery() as nursery:
        client = Client(nursery, new_server())
        await client.stream.send_all(request("GET", "/wait") + ahead * GET)
        await client.stream.aclose()
        with trio.fail_after(1):
            await client.ended.wait()


async def test_stopping_ends_idle_connections(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        server = new_server()
        idle, used = Client(nursery, server), Client(nursery, server)
        await used.stream.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        server.stop()
        with trio.fail_after(1):
            assert (statuses(await idle.said()), statuses(await used.said())) == ([], [200])
