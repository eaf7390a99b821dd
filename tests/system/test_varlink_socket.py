"""The Varlink server on real Unix sockets: credentials of peers, hang-ups, and abuse."""

import errno
import json
import logging
import os
import resource
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.varlink import turns
from cucmd.varlink.peer import HangUps, caller_of
from rig.example_interface import NAME, Example
from rig.others import why_not
from rig.readable_python import readable_python
from rig.varlink_peer import Peer, connected, request, serving, short_path

as_root = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
PATIENCE = 10.0  # seconds, for what happens at once on a machine that is not busy


@pytest.fixture
def path() -> Iterator[Path]:
    with short_path() as path:
        yield path


# Who is there


WHO = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"method":"%s.Who"}\\0' % sys.argv[2].encode())
data = b""
while not data.endswith(b"\\0"):
    data += s.recv(65536)
print(data[:-1].decode())
"""


async def who(path: Path, **identity: object) -> dict:
    python = readable_python()
    result = await trio.run_process(
        [python.program, "-c", WHO, str(path), NAME],
        capture_stdout=True,
        env=python.environ,
        **identity,
    )
    return json.loads(result.stdout)["parameters"]


async def test_the_caller_is_who_the_kernel_says(path: Path) -> None:
    async with serving(path, Example()), connected(path) as peer:
        caller = (await peer.call("Who"))["parameters"]
    assert caller == {
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "groups": sorted(set(os.getgroups())),
        "pid": os.getpid(),
    }


@as_root
@pytest.mark.parametrize("count", [0, 1, 256, 257, 2000])
async def test_all_groups_of_a_caller_are_known(path: Path, count: int) -> None:
    groups = list(range(70_000, 70_000 + count))
    async with serving(path, Example()):
        path.parent.parent.chmod(0o755)
        caller = await who(path, user=65_001, group=65_002, extra_groups=groups)
    assert (caller["uid"], caller["gid"], caller["groups"]) == (65_001, 65_002, groups)


# Accepting


class Rounds(trio.abc.Instrument):
    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


async def test_many_waiting_connections_are_accepted_in_few_rounds(path: Path) -> None:
    """One round for each let a peer that only connects and leaves hold up all others."""
    async with serving(path, Example(), connections=1000), AsyncExitStack() as stack:
        for _ in range(200):
            waiting = socket.socket(socket.AF_UNIX)
            waiting.connect(str(path))
            waiting.close()
        peer = await stack.enter_async_context(connected(path))
        rounds = Rounds()
        trio.lowlevel.add_instrument(rounds)
        assert "parameters" in await peer.call("Who")
        trio.lowlevel.remove_instrument(rounds)
    assert rounds.count < 40


# Hang-ups


async def test_a_hang_up_is_reported_once() -> None:
    reports = []
    ours, theirs = socket.socketpair()
    with HangUps() as hang_ups, ours, hang_ups.watch(ours.fileno(), lambda: reports.append("gone")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang_ups.run)
            theirs.shutdown(socket.SHUT_WR)
            await trio.testing.wait_all_tasks_blocked()
            assert reports == []
            theirs.close()
            await trio.lowlevel.wait_readable(ours)
            with trio.fail_after(PATIENCE):  # it would never be blocked if it were reported again
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert reports == ["gone"]


async def test_a_hang_up_ends_a_quiet_stream_at_once(path: Path) -> None:
    example = Example()
    async with serving(path, example):
        async with connected(path) as peer:
            assert (await peer.call("Count", more=True))["continues"]
        with trio.fail_after(PATIENCE):
            await example.ended.wait()
    assert example.done == ["count cancelled"]


async def test_a_hang_up_ends_a_long_call_at_once(path: Path) -> None:
    example = Example()
    async with serving(path, example):
        async with connected(path) as peer:
            await peer.send(request("Wait"))
            await example.begun.wait()
        with trio.fail_after(PATIENCE):
            await example.ended.wait()
    assert example.done == ["wait cancelled"]


async def test_a_hang_up_after_half_a_close_is_noticed_too(path: Path) -> None:
    example = Example()
    async with serving(path, example):
        async with connected(path) as peer:
            await peer.send(request("Count", more=True))
            await peer.stream.send_eof()
            assert (await peer.receive())["continues"]
        with trio.fail_after(PATIENCE):
            await example.ended.wait()
    assert example.done == ["count cancelled"]


async def test_what_was_sent_before_a_hang_up_is_done_if_it_changes_something(path: Path) -> None:
    example = Example()
    async with serving(path, example):
        async with connected(path) as peer:
            await peer.send(request("Change"))
            await peer.send(request("Echo", {"text": "bye"}, oneway=True))
            await example.begun.wait()
        async with connected(path) as other:
            assert "error" not in await other.call("Who")
        example.gate.set()
        with trio.fail_after(PATIENCE):
            await example.until_done(2)
    assert example.done == ["change", "echo bye"]


async def test_half_a_close_still_gets_the_replies(path: Path) -> None:
    example = Example()
    async with serving(path, example), connected(path) as peer:
        await peer.send(request("Wait"))
        await peer.send(request("Count", {"upto": 2}, more=True))
        await peer.stream.send_eof()
        await example.begun.wait()
        example.gate.set()
        replies = [await peer.receive() for _ in range(4)]
    assert replies == [
        {"parameters": {}},
        {"parameters": {"number": 1}, "continues": True},
        {"parameters": {"number": 2}},
        None,
    ]


async def test_a_watcher_that_does_not_read_is_held_back_and_nobody_else(path: Path) -> None:
    example = Example()
    async with serving(path, example), connected(path) as watcher, connected(path) as other:
        await watcher.send(request("Count", more=True))
        await example.begun.wait()
        example.gate.set()
        last = -1
        while len(example.done) > last:  # until its buffers in the kernel are full
            last = len(example.done)
            for _ in range(50):
                assert "error" not in await other.call("Who")
        assert last < 100_000


async def test_a_server_that_ends_lets_calls_end_first(path: Path) -> None:
    example = Example()
    async with connected_through(path, example) as (peer, stop):
        await peer.send(request("Wait"))
        await example.begun.wait()
        stop()
        example.gate.set()
        assert await peer.receive() == {"parameters": {}}
        assert await peer.receive() is None


async def test_a_server_that_ends_does_not_wait_for_long(path: Path) -> None:
    example = Example()
    async with connected_through(path, example) as (peer, stop):
        await peer.send(request("Wait"))
        await example.begun.wait()
        stop()
        with trio.fail_after(PATIENCE):
            assert await peer.receive() is None
    assert example.done == ["wait cancelled"]


async def test_a_server_that_ends_does_not_wait_for_the_idle(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cucmd.varlink.server.CLOSE_SECONDS", 1000 * PATIENCE)
    async with connected_through(path, Example()) as (peer, stop):
        await peer.call("Who")
        await peer.send(b'{"method":')
        stop()
        with trio.fail_after(PATIENCE):
            assert await peer.receive() is None


@asynccontextmanager
async def connected_through(
    path: Path, example: Example
) -> AsyncIterator[tuple[Peer, Callable[[], None]]]:
    """A peer, and what cancels the server while the peer stays."""
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def run(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                async with serving(path, example):
                    task_status.started()
                    await trio.sleep_forever()

        # The peer's own descriptor would count as left behind: it is made before, and passed on.
        ours = socket.socket(socket.AF_UNIX)
        await nursery.start(run)
        ours.connect(str(path))
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as stream:
            yield Peer(stream), scope.cancel


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


async def test_without_an_error_for_it_one_connection_too_many_is_closed(path: Path) -> None:
    example = Example()
    without_error = example.interface(too_many=None)
    example.interface = lambda: without_error
    async with serving(path, example, connections=0), connected(path) as peer:
        assert await peer.receive() is None


async def test_only_a_unix_socket_has_credentials() -> None:
    with trio.socket.socket() as tcp, pytest.raises(OSError, match=rf"Errno {errno.ENODATA}\b"):
        caller_of(tcp)


HOLD = """
import socket, sys
held = [socket.socket(socket.AF_UNIX) for _ in range(4)]
for s in held:
    s.connect(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""


@as_root
async def test_root_may_connect_when_another_user_holds_all_connections(path: Path) -> None:
    python = readable_python()
    async with serving(path, Example(), connections=10, total=6, reserved=2):
        path.parent.parent.chmod(0o755)
        async with trio.open_nursery() as nursery:
            hold = partial(
                trio.run_process,
                [python.program, "-c", HOLD, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=python.environ,
                user=65_001,
                group=65_001,
            )
            process = await nursery.start(hold)
            await process.stdout.receive_some()
            refused = await trio.run_process(
                [python.program, "-c", WHO, str(path), NAME],
                capture_stdout=True,
                check=False,
                env=python.environ,
                user=65_003,
                group=65_003,
            )
            assert b"TooMany" in refused.stdout
            async with connected(path) as peer:
                assert "error" not in await peer.call("Who")
            await process.stdin.aclose()
            await process.stdout.aclose()


# Users over their share of the loop's time


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """For what is connected by the body, without a checkpoint in it."""
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
    """Each refusal is counted, and said in two lines."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(turns, "REST", 1e9)
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
    assert [record.args[0] for record in lines] == [65_001, 9]


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
