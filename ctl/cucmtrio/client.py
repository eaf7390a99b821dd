"""`Client`: the methods of `cucmctl.Client`, on trio."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cucmctl.client.calls import CALL_TIMEOUT
from cucmtrio.calls import CONNECTIONS, Calls


class Client(Calls):
    """As `cucmctl.Client`, with the same methods. Those that give an iterator there are context
    managers of an asynchronous one here.
    """


@asynccontextmanager
async def open_client(
    socket: str | os.PathLike[str] | None = None,
    *,
    timeout: float | None = CALL_TIMEOUT,  # noqa: ASYNC109  # of each call; scopes do it too
    connections: int = CONNECTIONS,
) -> AsyncIterator[Client]:
    """A `Client`, which opens its connections as they are needed, and is closed at the end."""
    client = Client(socket, timeout=timeout, connections=connections)
    try:
        yield client
    finally:
        client.close()
