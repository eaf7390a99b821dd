"""Asks `cucmmcp` as an assistant does, with the client of the official SDK."""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from rig.web import Web

# The handshake of the versions up to 2025-11-25, and the first version without one.
OLD, NEW = "legacy", "2026-07-28"
GENERATIONS = (OLD, NEW)

# `async with assistant("--operate", person=person) as client`
Assistant = Callable[..., AbstractAsyncContextManager[Client]]


class Person:
    """Answers the questions of the client, and keeps them."""

    def __init__(self, action: str = "accept", *, allow: object = True) -> None:
        self.asked: list[str] = []
        self.allows(action, allow=allow)

    def allows(self, action: str = "accept", *, allow: object = True) -> None:
        content = {"allow": allow} if action == "accept" else None
        self._answer = ElicitResult(action=action, content=content)

    async def answer(self, _context: object, question: object) -> ElicitResult:
        self.asked.append(question.message)
        return self._answer


def over_stdio(
    socket: Path,
    *options: str,
    person: Person | None = None,
    mode: str = NEW,
    run: Sequence[str] = (sys.executable,),
) -> Client:
    """Connects to a `cucmmcp` of its own. run: the command that runs Python."""
    command, *arguments = [*run, "-m", "cucmmcp", "--socket", str(socket), *options]
    # The SDK gives a server only a few variables of its own environment.
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    return Client(server, mode=mode, elicitation_callback=person and person.answer)


@asynccontextmanager
async def over_http(
    web: Web, token: str, *, person: Person | None = None, mode: str = NEW
) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"http://127.0.0.1:{web.port}/mcp", http_client=http)
        asks = person and person.answer
        async with Client(transport, mode=mode, elicitation_callback=asks) as client:
            yield client


async def ask(client: Client, tool: str, **arguments: object) -> dict:
    """Returns the structured content of an answer. Its text says the same."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    [content] = result.content
    assert json.loads(content.text) == result.structured_content
    assert len(content.text.encode()) <= 16_000
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: object) -> str:
    """Returns the text with which a call is refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return result.content[0].text
