"""Asks `cucmmcp` as an assistant does, with the client of the official SDK."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from mcp import Client
from mcp_types import ElicitResult

# The handshake of the versions up to 2025-11-25, and the first version without one.
GENERATIONS = ("legacy", "2026-07-28")

# `async with assistant("--operate", person=person) as client`
Assistant = Callable[..., AbstractAsyncContextManager[Client]]


class Person:
    """Answers the questions of the client, and keeps them."""

    def __init__(self, action: str = "accept", *, allow: bool = True) -> None:
        self.asked: list[str] = []
        content = {"allow": allow} if action == "accept" else None
        self._answer = ElicitResult(action=action, content=content)

    async def answer(self, _context: object, question: object) -> ElicitResult:
        self.asked.append(question.message)
        return self._answer


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
