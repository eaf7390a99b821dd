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

from cucmd.varlink import server
from cucmd.varlink.server import caller_of
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
        for _ in range(100):  # more than may stay to read why; some leave at once
            peer = await stack.enter_async_context(connected(path))
            async with connected(path):
                pass
        assert await peer.receive() is None
        assert "error" not in await first.call("Who")


async def test_only_a_unix_socket_has_credentials() -> None:
    with trio.socket.socket() as tcp, pytest.raises(OSError, match=rf"Errno {errno.ENODATA}\b"):
        caller_of(tcp)


# Users over their share of the loop's time


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


@as_root
async def test_who_is_over_its_share_gets_no_connection_and_others_do(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each refusal is logged as one of that user, so that the log can limit them."""
    monkeypatch.setattr(server, "CONNECTION", 1000.0)
    async with serving(path, Example()):
        path.parent.parent.chmod(0o755)
        with connect_as(65_001, path):  # this one is charged
            for _ in range(10):
                with connect_as(65_001, path) as refused:
                    assert await trio.to_thread.run_sync(refused.recv, 1) == b""
            monkeypatch.undo()
            with connect_as(65_002, path) as other:
                other.sendall(json.dumps(request("Who")).encode() + b"\0")
                answer = await trio.to_thread.run_sync(other.recv, 65536)
    assert b'"uid":65002' in answer
    lines = [record for record in caplog.records if "refused" in record.getMessage()]
    assert [record.uid for record in lines] == [65_001] * 10


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
