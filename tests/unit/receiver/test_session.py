"""An SFTP session between the event loop and the disk: no byte is lost, and memory is bounded."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, cast

import asyncssh
import pytest

from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.packets import Malformed
from cucmd.receiver.session import SftpSession
from rig import sftp_words as words

LIMITS = ReceiverLimits(backlog=10_000)
WINDOW = 64 * 1024


def in_asyncio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**given: Any) -> None:
        # Not asyncio.run: trio-asyncio, once imported, gives that a loop of its own.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(test(**given))  # type: ignore[arg-type]

    return run


class RequestHandler:
    """A disk that works when the test allows it, and answers each packet with its last byte."""

    def __init__(self) -> None:
        self.works = threading.Event()
        self.works.set()
        self.seen: list[bytes] = []
        self.threads: list[bool] = []  # whether it was in one of the pool
        self.closed = 0
        self.defect: Exception | None = None

    def answer(self, packets: deque[memoryview]) -> bytes:
        assert self.works.wait(10)
        self.threads.append(threading.current_thread() is not threading.main_thread())
        if self.defect:
            raise self.defect
        batch = [bytes(packets.popleft()) for _ in range(min(len(packets), 3))]
        self.seen += batch
        return b"".join(packet[-1:] for packet in batch)

    def close(self) -> None:
        self.closed += 1


class Login:
    def __init__(self) -> None:
        self.errors: list[OSError] = []

    def touch(self) -> None:
        pass

    def change(self) -> None:
        pass

    def not_sftp(self, error: Malformed) -> None:
        pass

    def cannot_receive(self, error: OSError) -> None:
        self.errors.append(error)


class Channel:
    def __init__(self) -> None:
        self.paused = False
        self.said = b""
        self.exited: int | None = None

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def write(self, data: bytes) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return self.exited is not None

    def exit(self, status: int) -> None:
        self.exited = status


class Rig:
    is_alone = False

    def __init__(self) -> None:
        self.login = Login()
        self.handler, self.channel = RequestHandler(), Channel()
        self.threads = ThreadPoolExecutor(1)
        self.session = self.new()

    def new(self) -> SftpSession:
        session = SftpSession(
            cast(Any, self.login),
            cast(Any, self.handler),
            LIMITS,
            lambda _: None,
            lambda: self.is_alone,
        )
        session.connection_made(cast(Any, self.channel))
        return session

    def hear(self, *bodies: bytes) -> None:
        self.session.data_received(b"".join(map(words.string, bodies)), None)

    async def run(self) -> None:
        await self.session.run(self.threads)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.handler.works.set()
    rig.threads.shutdown()


@in_asyncio
async def test_packets_are_answered_in_order_and_then_the_server_exits(rig: Rig) -> None:
    rig.hear(*[b"%d" % (number % 10) for number in range(25)])
    rig.session.eof_received()
    await rig.run()
    assert rig.channel.said == b"0123456789012345678901234"
    assert (rig.channel.exited, rig.handler.closed) == (0, 1)


@in_asyncio
async def test_reading_is_paused_while_the_disk_is_slow(rig: Rig) -> None:
    rig.handler.works.clear()
    running = asyncio.create_task(rig.run())
    heard = 0
    while not rig.channel.paused:
        rig.hear(bytes(3000))
        heard += 1
    assert heard == 4
    rig.handler.works.set()
    while rig.channel.paused:  # noqa: ASYNC110
        await asyncio.sleep(0)
    rig.session.eof_received()
    await running
    assert len(rig.handler.seen) == heard


@pytest.mark.parametrize(
    ("is_alone", "packets", "in_a_thread"),
    [
        (True, [words.write(1, b"x", 0, b"1"), words.write(2, b"x", 1, b"2")], False),
        (False, [words.write(1, b"x", 0, b"1")], True),
        (True, [words.on_handle(words.PacketType.CLOSE, 1, b"x")], True),
        (True, [words.write(1, b"x", 0, b"1"), words.open_file(2, b"y")], True),
    ],
)
@in_asyncio
async def test_only_writes_of_one_session_alone_are_done_in_the_event_loop(
    rig: Rig, is_alone: bool, packets: list[bytes], in_a_thread: bool
) -> None:
    """An fsync may take seconds, and an open waits for the daemon."""
    rig.is_alone = is_alone
    rig.session.data_received(b"".join(packets), None)
    rig.session.eof_received()
    await rig.run()
    assert (len(rig.handler.seen), rig.handler.threads) == (len(packets), [in_a_thread])


@in_asyncio
async def test_replies_to_writes_are_sent_together_while_more_comes(rig: Rig) -> None:
    rig.is_alone = True
    running = asyncio.create_task(rig.run())
    block, come = words.write(1, b"x", 0, bytes(50_000)), 0
    while not rig.channel.said:
        rig.session.data_received(block, None)
        come += 1
        await asyncio.sleep(0)
    assert 1 << 20 <= come * len(block) < 2 << 20, "half a window waits, and no more"
    rig.session.data_received(block, None)
    while len(rig.channel.said) <= come:  # noqa: ASYNC110  nothing more comes
        await asyncio.sleep(0)
    rig.session.eof_received()
    await running
    assert len(rig.channel.said) == come + 1


@in_asyncio
async def test_what_was_answered_is_sent_where_the_session_ends(rig: Rig) -> None:
    rig.is_alone = True
    running = asyncio.create_task(rig.run())
    rig.session.data_received(words.write(1, b"x", 0, b"1"), None)
    while not rig.handler.seen:  # noqa: ASYNC110
        await asyncio.sleep(0)
    rig.session.data_received(words.string(b"")[:2], None)
    rig.session.eof_received()
    await running
    assert len(rig.channel.said) == 1


@in_asyncio
async def test_what_was_answered_does_not_wait_for_what_may_take_long(rig: Rig) -> None:
    rig.is_alone = True
    running = asyncio.create_task(rig.run())
    rig.session.data_received(words.write(1, b"x", 0, b"1"), None)
    while not rig.handler.seen:  # noqa: ASYNC110
        await asyncio.sleep(0)
    rig.handler.works.clear()
    rig.session.data_received(words.on_handle(words.PacketType.CLOSE, 2, b"x"), None)
    while not rig.channel.said:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert (rig.channel.said, running.done()) == (b"1", False)
    rig.handler.works.set()
    rig.session.eof_received()
    await running


def test_small_packets_count_more_than_their_bytes(rig: Rig) -> None:
    """A limit in bytes alone would allow millions of them."""
    heard = 0
    while not rig.channel.paused:
        rig.hear(b"x")
        heard += 1
    assert heard < 50


@in_asyncio
async def test_what_came_before_the_connection_broke_is_still_written(rig: Rig) -> None:
    rig.hear(b"a", b"b")
    rig.session.connection_lost(ConnectionResetError())
    await rig.run()
    assert rig.handler.seen == [b"a", b"b"]
    assert rig.channel.said == b""


@pytest.mark.parametrize("is_alone", [True, False])
@in_asyncio
async def test_replies_wait_until_the_client_reads(rig: Rig, is_alone: bool) -> None:
    rig.is_alone = is_alone
    rig.hear(*[bytes([words.PacketType.WRITE]) + b"%d" % number for number in range(9)])
    rig.session.pause_writing()
    running = asyncio.create_task(rig.run())
    while not rig.channel.said:  # noqa: ASYNC110
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    for _ in range(2):  # what it had asked for until now is done
        await loop.run_in_executor(rig.threads, int)
    assert rig.channel.said == b"012"
    rig.session.resume_writing()
    rig.session.eof_received()
    await running
    assert rig.channel.said == b"012345678"


@pytest.mark.parametrize("defect", [Malformed("no INIT"), OSError(5, "disk")])
@in_asyncio
async def test_a_session_with_an_error_is_ended_and_closed(rig: Rig, defect: Exception) -> None:
    rig.handler.defect = defect
    rig.hear(b"a")
    await rig.run()
    assert (rig.channel.exited, rig.handler.closed) == (0, 1)
    assert rig.login.errors == ([defect] if isinstance(defect, OSError) else [])


@in_asyncio
async def test_invalid_bytes_end_the_session_after_earlier_requests(rig: Rig) -> None:
    rig.hear(b"a")
    rig.session.data_received(b"\xff\xff\xff\xff", None)
    rig.hear(b"b")
    await rig.run()
    assert rig.handler.seen == [b"a"]


class Taken:
    """A disk that takes one packet at a time, and each once no more comes meanwhile. `most`: what
    a client has sent, and it has not taken.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self.client: asyncssh.SSHClientChannel[bytes] | None = None
        self.most = 0
        self._loop = loop
        self._left = count

    def answer(self, packets: deque[memoryview]) -> bytes:
        unsent = asyncio.run_coroutine_threadsafe(self._unsent(), self._loop).result(60)
        self.most = max(self.most, self._left - unsent)
        self._left -= 4 + len(packets.popleft())
        return b""

    async def _unsent(self) -> int:
        assert self.client
        unsent, turns = self.client.get_write_buffer_size(), 0
        while turns < 20:
            await asyncio.sleep(0)
            turns += 1
            if (now := self.client.get_write_buffer_size()) != unsent:
                unsent, turns = now, 0
        return unsent

    def close(self) -> None:
        pass


@in_asyncio
async def test_a_client_is_never_let_send_more_than_two_windows_beyond_the_backlog() -> None:
    """Of asyncssh's own channel: it opens the window whenever it hands over a piece."""
    packets = words.string(bytes(3_000)) * 500
    loop = asyncio.get_running_loop()
    disk, threads = Taken(loop, len(packets)), ThreadPoolExecutor(1)
    running: list[asyncio.Task[None]] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self.connection = conn

        def begin_auth(self, username: str) -> bool:
            return False

        def session_requested(self) -> Any:
            def start(session: SftpSession) -> None:
                running.append(loop.create_task(session.run(threads)))

            channel = self.connection.create_server_channel(encoding=None, window=WINDOW)
            return channel, SftpSession(
                cast(Any, Login()), cast(Any, disk), LIMITS, start, lambda: False
            )

    key = asyncssh.generate_private_key("ssh-ed25519")
    with threads:
        async with (
            asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key]) as port,
            asyncssh.connect(
                "127.0.0.1", port.get_port(), known_hosts=None, config=None, client_keys=None
            ) as client,
        ):
            disk.client, _ = await client.create_session(
                asyncssh.SSHClientSession[bytes], subsystem="sftp", encoding=None
            )
            disk.client.write(packets)
            disk.client.write_eof()
            while not running:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await running[0]
    assert WINDOW < disk.most < LIMITS.backlog + 2 * WINDOW
