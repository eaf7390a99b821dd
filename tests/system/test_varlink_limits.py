"""Tests the limits of the Varlink server on real Unix sockets, for each user and altogether."""

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.varlink import Caller
from cucmd.varlink.server import peer_credentials
from rig.example_interface import NAME, Example
from rig.few_descriptors import descriptors_left
from rig.others import needs_root
from rig.varlink_peer import Peer, connected, request, serving

PATIENCE = 10.0  # seconds; an idle machine needs almost none


async def test_extra_connection_gets_error(socket_path: Path) -> None:
    async with serving(socket_path, Example(), connections=2):
        async with connected(socket_path) as first, connected(socket_path) as second:
            assert "error" not in await first.call("Who")
            assert "error" not in await second.call("Who")
            async with connected(socket_path) as third:
                assert await third.call("Who") == {
                    "error": f"{NAME}.TooMany",
                    "parameters": {"limit": "connections", "maximum": 2},
                }
                assert await third.receive() is None
            assert "error" not in await first.call("Who")
        with trio.fail_after(PATIENCE):
            while True:  # the server may notice a moment later that two have left
                async with connected(socket_path) as fourth:
                    if "error" not in await fourth.call("Who"):
                        break


async def test_refused_peers_cannot_pile_up(socket_path: Path) -> None:
    async with serving(socket_path, Example(), connections=1), AsyncExitStack() as stack:
        first = await stack.enter_async_context(connected(socket_path))
        assert "error" not in await first.call("Who")
        for _ in range(100):  # more than the server keeps; some leave at once
            peer = await stack.enter_async_context(connected(socket_path))
            async with connected(socket_path):
                pass
        assert [one["error"] for one in await peer.receive_all()] == [f"{NAME}.TooMany"]
        assert "error" not in await first.call("Who")


async def test_only_a_unix_socket_has_credentials() -> None:
    with trio.socket.socket() as tcp, pytest.raises(OSError, match=rf"Errno {errno.ENODATA}\b"):
        peer_credentials(tcp)


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Becomes another user while the block connects. The block must have no checkpoint."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def connect_as(uid: int, path: Path) -> socket.socket:
    ours = socket.socket(socket.AF_UNIX)
    with acting_as(uid):
        ours.connect(str(path))
    ours.settimeout(PATIENCE)
    return ours


def ask_as(uid: int, path: Path) -> bytes:
    with connect_as(uid, path) as ours:
        ours.sendall(json.dumps(request("Who")).encode() + b"\0")
        return ours.recv(65536)


VIEWER, OPERATOR = 65_001, 65_002


@needs_root
async def test_connecting_without_pause_is_refused(
    socket_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each refusal in the log names the user, so that the log can limit them."""

    def may_operate(caller: Caller) -> bool:
        return caller.uid == OPERATOR

    async with serving(socket_path, Example(), may_operate=may_operate, connections=5):
        socket_path.parent.parent.chmod(0o755)
        viewer = [await trio.to_thread.run_sync(ask_as, VIEWER, socket_path) for _ in range(8)]
        operator = [await trio.to_thread.run_sync(ask_as, OPERATOR, socket_path) for _ in range(8)]
        with trio.fail_after(PATIENCE):
            while b"TooMany" in await trio.to_thread.run_sync(ask_as, VIEWER, socket_path):
                pass
    assert [b"TooMany" in answer for answer in viewer] == [False] * 5 + [True] * 3
    assert not any(b"TooMany" in answer for answer in operator)
    assert {one.uid for one in caplog.records if "refused" in one.getMessage()} == {VIEWER}


async def test_lack_of_descriptors_is_logged_once(
    socket_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(socket_path, Example()):
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        with descriptors_left(0):
            for client in clients:
                client.connect(str(socket_path))
            with trio.fail_after(PATIENCE):
                while not logged_about_accepting(caplog):  # noqa: ASYNC110  nobody announces it
                    await trio.sleep(0.02)
            await trio.sleep(0.35)  # the server tries again some times, and logs none of them
        for client in clients:
            async with trio.SocketStream(trio.socket.from_stdlib_socket(client)) as stream:
                assert "error" not in await Peer(stream).call("Who")
    (message,) = logged_about_accepting(caplog)
    assert os.strerror(errno.EMFILE) in message


def logged_about_accepting(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "accept" in message]
