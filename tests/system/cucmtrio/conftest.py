"""A scripted daemon, and a client of it on trio."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cucmtrio import Client, open_client
from rig.scripted_daemon import Caller, ScriptedDaemon, Serve, reply, scripted_daemon


@pytest.fixture
def path():
    # The path of a socket has at most 107 bytes; pytest's folders can be longer.
    with TemporaryDirectory(prefix="cucmtrio-") as folder:
        yield Path(folder) / "sock"


async def echo(caller: Caller) -> None:
    """Answers each call with the name of its method."""
    while (call := await caller.call()) is not None:
        await caller.send(reply({"method": call["method"].rpartition(".")[2]}))


@pytest.fixture
def serving(path: Path) -> Callable[[Serve], AbstractAsyncContextManager[ScriptedDaemon]]:
    """Runs a scripted daemon: `async with serving(serve) as daemon`."""
    return lambda serve: scripted_daemon(path, serve)


@pytest.fixture
async def client(path: Path) -> AsyncIterator[Client]:
    async with open_client(path) as client:
        yield client
