"""A connection over a memory stream, and a peer at its other end."""

from collections.abc import Callable

import msgspec
import pytest
import trio
import trio.testing

from cucmd.varlink import Caller, SocketLimits
from cucmd.varlink.connection import ServerConnection, ServerParts
from cucmd.varlink.limits import Users
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO, Example
from rig.varlink_peer import Peer, request

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)


@pytest.fixture
def call() -> Callable[..., dict]:
    return request


@pytest.fixture
def example() -> Example:
    return Example()


@pytest.fixture
def held(example: Example) -> ServerParts:
    return ServerParts(
        MethodTable(example.interface(), INFO),
        Users(SocketLimits()),
        lambda *_: None,
    )


@pytest.fixture
def connect(nursery: trio.Nursery, held: ServerParts) -> Callable[..., Peer]:
    """Returns a function that connects a peer: `connect(caller, authorize=...)`. Keywords replace
    fields of `held`. `peer.connection` is the connection of the server, `peer.served` its stream,
    and `peer.over` is set once it has ended.
    """

    def connect(caller: Caller = CALLER, **changes: object) -> Peer:
        ours, theirs = trio.testing.memory_stream_pair()
        connection = ServerConnection(ours, caller, msgspec.structs.replace(held, **changes))
        peer = Peer(theirs)
        peer.connection, peer.served, peer.over = connection, ours, trio.Event()

        async def run() -> None:
            async with ours:
                await connection.run()
            peer.over.set()

        nursery.start_soon(run)
        return peer

    return connect
