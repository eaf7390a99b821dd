"""The limits of the Varlink server hold on real Unix sockets, for each user and in all."""

import errno
import json
import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.varlink import Caller
from cucmd.varlink.server import peer_credentials
from rig.example_interface import NAME, Example
from rig.others import why_not
from rig.varlink_peer import Peer, connected, request, serving, short_path

as_root = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
PATIENCE = 10.0  # seconds, for what happens at once on a machine that is not busy


@pytest.fixture
def path() -> Iterator[Path]:
    with short_path() as path:
        yield path


# Limits


async def test_one_connection_too_many_gets_an_error_and_the_others_stay(path: Path) -> None:
    async with serving(path, Example(), connections=2):
        async with connected(path) as first, connected(path) as second:
            assert "error" not in await first.call("Who")
            assert "error" not in await second.call("Who")
            async with connected(path) as third:
                assert await third.call("Who") == {
                    "error": f"{NAME}.TooMany",
                    "parameters": {"limit": "connections", "maximum": 2},
                }
                assert await third.receive() is None
            assert "error" not in await first.call("Who")
        with trio.fail_after(PATIENCE):
            while True:  # the server may notice a moment later that two have left
                async with connected(path) as fourth:
                    if "error" not in await fourth.call("Who"):
                        break


async def test_refused_peers_cannot_pile_up(path: Path) -> None:
    async with serving(path, Example(), connections=1), AsyncExitStack() as stack:
        first = await stack.enter_async_context(connected(path))
        assert "error" not in await first.call("Who")
        for _ in range(100):  # more than are kept open; some leave at once
            peer = await stack.enter_async_context(connected(path))
            async with connected(path):
                pass
        assert [one["error"] for one in await peer.receive_all()] == [f"{NAME}.TooMany"]
        assert "error" not in await first.call("Who")


async def test_only_a_unix_socket_has_credentials() -> None:
    with trio.socket.socket() as tcp, pytest.raises(OSError, match=rf"Errno {errno.ENODATA}\b"):
        peer_credentials(tcp)


# Users who may not operate


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Is for what is connected by the body, without a checkpoint in it."""
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


@as_root
async def test_connecting_without_pause_is_refused(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each refusal is logged as one of that user, so that the log can limit them."""

    def may_operate(caller: Caller) -> bool:
        return caller.uid == OPERATOR

    async with serving(path, Example(), may_operate=may_operate, connections=5):
        path.parent.parent.chmod(0o755)
        viewer = [await trio.to_thread.run_sync(ask_as, VIEWER, path) for _ in range(8)]
        operator = [await trio.to_thread.run_sync(ask_as, OPERATOR, path) for _ in range(8)]
        with trio.fail_after(PATIENCE):
            while b"TooMany" in await trio.to_thread.run_sync(ask_as, VIEWER, path):
                pass
    assert [b"TooMany" in answer for answer in viewer] == [False] * 5 + [True] * 3
    assert not any(b"TooMany" in answer for answer in operator)
    assert {one.uid for one in caplog.records if "refused" in one.getMessage()} == {VIEWER}


class NotedMessages(logging.Handler):
    """Notes the log messages about accepting; `first` is set by the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.first = trio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "accept" in record.getMessage():
            self.texts.append(record.getMessage())
            self.first.set()


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(int, os.listdir("/proc/self/fd"))) + 1
    gaps = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        with suppress(OSError):
            while True:
                gaps.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in gaps:
            os.close(descriptor)


async def test_running_out_of_descriptors_is_logged_once(path: Path) -> None:
    noted = NotedMessages()
    logging.getLogger("cucmd.varlink.server").addHandler(noted)
    async with serving(path, Example()):
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        with no_descriptors_left():
            for client in clients:
                client.connect(str(path))
            with trio.fail_after(PATIENCE):
                await noted.first.wait()
            await trio.sleep(0.35)  # some more tries, which are not logged
        for client in clients:
            async with trio.SocketStream(trio.socket.from_stdlib_socket(client)) as stream:
                assert "error" not in await Peer(stream).call("Who")
    logging.getLogger("cucmd.varlink.server").removeHandler(noted)
    assert len(noted.texts) == 1
    assert os.strerror(errno.EMFILE) in noted.texts[0]
