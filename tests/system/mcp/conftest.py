"""Runs `cucmmcp` over standard input and output, and asks it with the SDK's own client."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp import Client, StdioServerParameters
from mcp_types import ElicitResult

from rig.daemon import Daemon

# The handshake of the versions up to 2025-11-25, and the first version without one.
GENERATIONS = ("legacy", "2026-07-28")


class Person:
    """Answers the questions of the client, and keeps them."""

    def __init__(self, action: str = "accept", *, allow: bool = True) -> None:
        self.asked: list[str] = []
        self._answer = ElicitResult(action=action, content={"allow": allow})

    async def answer(self, _context: object, question: object) -> ElicitResult:
        self.asked.append(question.message)
        return self._answer


Assistant = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def assistant(daemon: Daemon) -> Assistant:
    """Connects a client: `async with assistant("--operate", person=person) as client`."""

    def connect(
        *options: str, person: Person | None = None, mode: str = "2026-07-28", to: Daemon = daemon
    ) -> Client:
        arguments = ["-m", "cucmmcp", "--socket", str(to.socket), *options]
        server = StdioServerParameters(command=sys.executable, args=arguments)
        return Client(server, mode=mode, elicitation_callback=person and person.answer)

    return connect
