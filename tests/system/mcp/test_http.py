"""Tests /mcp of `cucmweb`: who may do what, and what ends a request."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest
import trio
from mcp import Client, MCPError

from cucmd.job.work_request import Collection, Login
from cucmweb.token_file import add, revoke
from rig.assistant import GENERATIONS, Assistant, Person, ask, over_http, refusal
from rig.web import Web
from system.mcp.conftest import NUMBER, PRIVATE, Cluster, web_with

# The SDK's client does not close a stream of httpx2 that it has not read to its end.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HEADERS = {"accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture(scope="module")
def own_web(
    cluster: Cluster, state: Path, tokens: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    """Runs a `cucmweb` with few places for each caller. The last test stops it."""
    folder = tmp_path_factory.mktemp("own") / "web"
    with web_with("[limits]\nstreams_per_caller = 2\n", folder, cluster, state) as web:
        yield web


async def test_export_needs_a_folder(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        assert "export_folder" in await refusal(client, "export", job=PRIVATE)


async def test_masks_can_be_turned_off(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        assert NUMBER in str(await ask(client, "find", job=PRIVATE, text="cn="))


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_viewer_changes_nothing(web_assistant: Assistant, mode: str) -> None:
    async with web_assistant("view", mode=mode, person=(person := Person())) as client:
        assert "role view" in await refusal(client, "start", kind="check", nodes=["berlin"])
        assert "role view" in await refusal(client, "cancel", job=PRIVATE)
        assert "does not permit" in await refusal(client, "find", job=PRIVATE, text="cn=")
        assert person.asked == []


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_job_names_who_asked(web_assistant: Assistant, cluster: Cluster, mode: str) -> None:
    async with web_assistant("operate", mode=mode, person=(person := Person())) as client:
        job = (await ask(client, "start", kind="check", nodes=["berlin"]))["job_id"]
        await ask(client, "wait", job=job)
        assert person.asked[0].endswith("cucmctl check berlin")
    with cluster.daemon.client() as daemon:
        assert daemon.status(job).asked_by == "a operate"


async def test_twenty_calls_at_once(web_assistant: Assistant) -> None:
    async with web_assistant("operate") as client, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask, client, "jobs")
            nursery.start_soon(lambda: ask(client, "find", job=PRIVATE, text="cn="))


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer cucmweb_wrong"}])
async def test_nobody_without_a_token(plain_web: Web, headers: dict[str, str]) -> None:
    assert plain_web.ask("POST", "/mcp", HELLO, HEADERS | headers).status == 401


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("origin", "http://evil.example", 403),
        ("host", "evil.example", 403),
        ("content-type", "text/plain", 400),
        ("accept", "text/html", 406),
        ("mcp-session-id", "0" * 32, 404),
        ("mcp-protocol-version", "1999-01-01", 400),
    ],
)
def test_wrong_heads_are_refused(
    plain_web: Web, tokens: dict[str, str], name: str, value: str, status: int
) -> None:
    headers = HEADERS | {"authorization": f"Bearer {tokens['view']}", name: value}
    assert plain_web.ask("POST", "/mcp", HELLO, headers).status == status


def test_long_bodies_are_refused(plain_web: Web, tokens: dict[str, str]) -> None:
    headers = HEADERS | {"authorization": f"Bearer {tokens['view']}"}
    assert plain_web.ask("POST", "/mcp", HELLO | {"x": "y" * 2**20}, headers).status == 413


@contextmanager
def session(web: Web, token: str) -> Iterator[dict[str, str]]:
    """Opens a session of the older protocol. Yields the headers of its requests."""
    headers = HEADERS | {"authorization": f"Bearer {token}"}
    begun = web.ask("POST", "/mcp", HELLO, headers)
    assert begun.status == 200
    headers["mcp-session-id"] = begun.headers["mcp-session-id"]
    yield headers
    if web.process.poll() is None:
        web.ask("DELETE", "/mcp", None, headers)


@contextmanager
def listening(web: Web, headers: dict[str, str]) -> Iterator[HTTPResponse]:
    """Yields the reply to the request by which a client hears what the server says unasked."""
    with closing(web.connection()) as connection:
        yield web.asked(connection, "GET", "/mcp", None, headers)


def test_sessions_belong_to_their_caller(plain_web: Web, tokens: dict[str, str]) -> None:
    with session(plain_web, tokens["view"]) as headers:
        other = headers | {"authorization": f"Bearer {tokens['operate']}"}
        listed = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        assert plain_web.ask("POST", "/mcp", listed, other).status == 404
        assert plain_web.ask("POST", "/mcp", listed, headers).status == 200


def messages(reply: HTTPResponse) -> Iterator[dict]:
    """Yields what the server says in reply to a call."""
    return (json.loads(line[6:]) for line in reply if line.startswith(b"data: "))


def test_answers_belong_to_their_session(plain_web: Web, tokens: dict[str, str]) -> None:
    called = {"name": "cancel", "arguments": {"job": PRIVATE}}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": called}
    with (
        session(plain_web, tokens["operate"]) as asked,
        session(plain_web, tokens["operate"]) as other,
        closing(plain_web.connection()) as connection,
    ):
        said = messages(plain_web.asked(connection, "POST", "/mcp", call, asked))
        answer = {"jsonrpc": "2.0", "id": next(said)["id"]}
        accept = answer | {"result": {"action": "accept", "content": {"allow": True}}}
        assert plain_web.ask("POST", "/mcp", accept, other).status == 202
        decline = answer | {"result": {"action": "decline"}}
        assert plain_web.ask("POST", "/mcp", decline, asked).status == 202
        [result] = (message["result"] for message in said)
    assert "did not allow" in result["content"][0]["text"]


def test_each_caller_has_limits(own_web: Web, tokens: dict[str, str]) -> None:
    few = own_web
    with session(few, tokens["view"]) as one, session(few, tokens["view"]) as two:
        headers = {name: one[name] for name in one if name != "mcp-session-id"}
        assert few.ask("POST", "/mcp", HELLO, headers).status == 503
        with listening(few, one) as first, listening(few, two) as second:
            assert (first.status, second.status) == (200, 200)
            assert few.ask("POST", "/mcp", HELLO, headers).status == 429
            with session(few, tokens["operate"]):
                pass


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_revoked_token_ends_calls(plain_web: Web, cluster: Cluster, mode: str) -> None:
    file = plain_web.log.parent / "tokens.toml"
    token, begun = add(file, mode, "operate", None), trio.Event()

    async def begin(*_: object) -> None:
        begun.set()

    async def wait(client: Client, job: str) -> None:
        with pytest.raises(MCPError, match="ended without a response"):
            await client.call_tool("wait", {"job": job}, progress_callback=begin)

    with cluster.daemon.client() as daemon:
        paths = Collection(paths=("cm/trace/ccm/sdl",))
        job = daemon.collect([cluster.hanging], paths, login=Login(credential="lab")).job_id
        async with over_http(plain_web, token, mode=mode) as client, trio.open_nursery() as nursery:
            nursery.start_soon(wait, client, job)
            await begun.wait()
            revoke(file, mode)
        daemon.cancel(job)
        daemon.wait(job)


def test_stops_although_a_question_is_open(own_web: Web, tokens: dict[str, str]) -> None:
    called = {"name": "cancel", "arguments": {"job": PRIVATE}}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": called}
    with (
        session(own_web, tokens["operate"]) as headers,
        listening(own_web, headers),
        closing(own_web.connection()) as connection,
    ):
        reply = own_web.asked(connection, "POST", "/mcp", call, headers)
        assert any(b"elicitation/create" in line for line in reply)
        assert own_web.stop(within=20) == 0
    assert "Traceback" not in own_web.log.read_text()
