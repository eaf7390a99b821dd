"""Tests /mcp of `cucmweb`: who may do what, and what ends a request."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest
import trio
from mcp import Client, MCPError

from cucmd.job.work_request import Collection, Login
from cucmweb.token_file import add, revoke
from rig.assistant import GENERATIONS, Assistant, Person, ask, over_http, refusal
from rig.collected import JOB_ID
from rig.searched import make_job
from rig.web import Web, running_web
from system.mcp.conftest import Cluster

# The SDK's client does not close a stream of httpx2 that it has not read to its end.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NUMBER = "7021004"
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
def state(state: Path) -> Path:
    trace = f"00000001.000 |05:00:01.000 |SdlSig |cn={NUMBER}\n".encode()
    make_job(state, {"pub/cm/trace/ccm/sdl/a.txt": trace})
    return state


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_lines_are_masked(web_assistant: Assistant, mode: str) -> None:
    async with web_assistant("operate", mode=mode) as client:
        assert len((await client.list_tools()).tools) == 12
        found = await ask(client, "find", job=JOB_ID, text="cn=")
        assert len(found["items"]) == 1
        assert NUMBER not in str(found)


@pytest.fixture
def make_web(cluster: Cluster, stack: ExitStack, tmp_path: Path) -> Callable[..., Web]:
    """Runs a `cucmweb` with another configuration, and with all tokens of `web`."""

    def make(config: str, web: Web) -> Web:
        folder = tmp_path / "web"
        folder.mkdir()
        shutil.copy(web.log.parent / "tokens.toml", folder)
        return stack.enter_context(running_web(folder, cluster.daemon.socket, config, tcp=True))

    return make


async def test_masks_can_be_turned_off(
    web: Web, make_web: Callable[..., Web], tokens: dict[str, str]
) -> None:
    plain = make_web("mask_assistants = false\n", web)
    async with over_http(plain, tokens["operate"]) as client:
        assert NUMBER in str(await ask(client, "find", job=JOB_ID, text="cn="))


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_viewer_changes_nothing(web_assistant: Assistant, mode: str) -> None:
    async with web_assistant("view", mode=mode, person=(person := Person())) as client:
        assert "role view" in await refusal(client, "start", kind="check", nodes=["berlin"])
        assert "role view" in await refusal(client, "cancel", job=JOB_ID)
        assert "does not permit" in await refusal(client, "find", job=JOB_ID, text="cn=")
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
            nursery.start_soon(lambda: ask(client, "find", job=JOB_ID, text="cn="))


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer cucmweb_wrong"}])
async def test_nobody_without_a_token(web: Web, headers: dict[str, str]) -> None:
    assert web.ask("POST", "/mcp", HELLO, HEADERS | headers).status == 401


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
    web: Web, tokens: dict[str, str], name: str, value: str, status: int
) -> None:
    headers = HEADERS | {"authorization": f"Bearer {tokens['view']}", name: value}
    assert web.ask("POST", "/mcp", HELLO, headers).status == status


def test_long_bodies_are_refused(web: Web, tokens: dict[str, str]) -> None:
    headers = HEADERS | {"authorization": f"Bearer {tokens['view']}"}
    assert web.ask("POST", "/mcp", HELLO | {"x": "y" * 2**20}, headers).status == 413


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


def test_sessions_belong_to_their_caller(web: Web, tokens: dict[str, str]) -> None:
    with session(web, tokens["view"]) as headers:
        other = headers | {"authorization": f"Bearer {tokens['operate']}"}
        listed = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        assert web.ask("POST", "/mcp", listed, other).status == 404
        assert web.ask("POST", "/mcp", listed, headers).status == 200


def test_each_caller_has_limits(
    web: Web, make_web: Callable[..., Web], tokens: dict[str, str]
) -> None:
    few = make_web("[limits]\nstreams_per_caller = 2\n", web)
    with session(few, tokens["view"]) as one, session(few, tokens["view"]) as two:
        headers = {name: one[name] for name in one if name != "mcp-session-id"}
        assert few.ask("POST", "/mcp", HELLO, headers).status == 503
        with listening(few, one) as first, listening(few, two) as second:
            assert (first.status, second.status) == (200, 200)
            assert few.ask("POST", "/mcp", HELLO, headers).status == 429
            with session(few, tokens["operate"]):
                pass


def test_stops_although_a_question_is_open(
    web: Web, make_web: Callable[..., Web], tokens: dict[str, str]
) -> None:
    stopped = make_web("", web)
    called = {"name": "cancel", "arguments": {"job": JOB_ID}}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": called}
    with (
        session(stopped, tokens["operate"]) as headers,
        listening(stopped, headers),
        closing(stopped.connection()) as connection,
    ):
        reply = stopped.asked(connection, "POST", "/mcp", call, headers)
        assert any(b"elicitation/create" in line for line in reply)
        assert stopped.stop(within=20) == 0
    assert "Traceback" not in stopped.log.read_text()


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_revoked_token_ends_calls(web: Web, cluster: Cluster, state: Path, mode: str) -> None:
    file = state.parents[1] / "web" / "tokens.toml"
    token, begun = add(file, mode, "operate", None), trio.Event()

    async def begin(*_: object) -> None:
        begun.set()

    async def wait(client: Client, job: str) -> None:
        with pytest.raises(MCPError, match="ended without a response"):
            await client.call_tool("wait", {"job": job}, progress_callback=begin)

    with cluster.daemon.client() as daemon:
        paths = Collection(paths=("cm/trace/ccm/sdl",))
        job = daemon.collect([cluster.hanging], paths, login=Login(credential="lab")).job_id
        async with over_http(web, token, mode=mode) as client, trio.open_nursery() as nursery:
            nursery.start_soon(wait, client, job)
            await begun.wait()
            revoke(file, mode)
        daemon.cancel(job)
        daemon.wait(job)
