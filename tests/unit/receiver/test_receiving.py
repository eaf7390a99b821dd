"""What a process that receives does with what it is told."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

import asyncssh
import msgspec
import pytest

from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.receiving import Receiving
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.frames import Begin, Expect, Forget, ToReceiving, framed

KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
BEGIN = Begin(host_keys=(KEY,), limits={}, legacy_algorithms=False)
EXPECT = Expect(login="login", digest=b"", source="", name="job/node")


class Daemon:
    """What a process that receives is told by it."""

    def __init__(self) -> None:
        self.frames: list[ToReceiving] = []

    def wait(self) -> None:
        if not self.frames:
            raise EOFError

    def has_more(self) -> bool:
        return bool(self.frames)

    def receive(self, _: object) -> ToReceiving:
        return self.frames.pop(0)

    def send(self, frame: object) -> None:
        """Nobody looks at what it is told."""


class Loop:
    """An event loop that is quicker than any other thread."""

    def call_soon_threadsafe(self, function: Callable[[], None]) -> None:
        function()

    def call_later(self, seconds: float, function: Callable[[], None]) -> None:
        """No time passes."""


class Peer:
    """A connection that is looked at again and again, and stays when it is aborted."""

    source = "192.0.2.9"

    def __init__(self, *, excess: str | Exception | None = None, fails: bool = False) -> None:
        self._excess = excess
        self._fails = fails
        self.looks = self.aborts = 0
        self.looked_at_again = asyncio.Event()

    def excess(self) -> str | None:
        self.looks += 1
        if self.looks == 3:
            self.looked_at_again.set()
        if isinstance(self._excess, Exception):
            raise self._excess
        return self._excess

    def abort(self) -> None:
        self.aborts += 1
        if self._fails:
            raise RuntimeError("a defect")


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def receiving(daemon: Daemon) -> Iterator[Receiving]:
    yield Receiving(cast(Any, daemon), ReceiverLimits(), BEGIN, cast(Any, Loop()))
    asyncssh.set_default_skip_rsa_key_validation(False)  # for all of this process


@pytest.fixture
def tell(daemon: Daemon, receiving: Receiving) -> Callable[[ToReceiving], None]:
    def tell(frame: ToReceiving) -> None:
        daemon.frames.append(frame)
        with pytest.raises(EOFError):
            receiving.listen()

    return tell


def test_no_connection_enters_a_login_that_has_ended(
    receiving: Receiving, tell: Callable[[ToReceiving], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the thread that ends it is not there yet."""
    tell(EXPECT)
    login = receiving.login("login")
    assert login is not None
    handler = login.handler(cast(Any, None))
    assert handler is not None
    login.began(handler)  # so that it is to be ended in a thread
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    assert login.admits()
    tell(Forget("login"))
    assert not login.admits()


def test_nothing_is_kept_of_a_session_that_never_asks_for_sftp(
    receiving: Receiving, tell: Callable[[ToReceiving], None]
) -> None:
    tell(EXPECT)
    login = receiving.login("login")
    assert login is not None
    assert receiving.session(login) is not None
    assert not login.is_used


def test_a_session_is_alone_only_where_there_is_no_other_and_no_other_login(
    receiving: Receiving, tell: Callable[[ToReceiving], None]
) -> None:
    """It keeps all others waiting while it writes."""
    receiving._tasks.add(cast(Any, "one"))
    tell(EXPECT)
    assert receiving.has_one()
    tell(msgspec.structs.replace(EXPECT, login="another"))
    assert not receiving.has_one()
    tell(Forget("another"))
    assert receiving.has_one()
    receiving._tasks.add(cast(Any, "another"))
    assert not receiving.has_one()


def test_a_login_is_known_before_the_thread_that_listens_has_had_its_turn(
    daemon: Daemon, receiving: Receiving
) -> None:
    daemon.frames.append(EXPECT)
    assert receiving.login("login") is not None
    assert receiving.login("another") is None


def test_no_frame_is_lost_between_the_thread_that_listens_and_who_looks_for_a_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cucmd.receiver.receiving._leave", sys.exit)  # of the thread alone
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = Receiving(Channel(theirs), ReceiverLimits(), BEGIN, cast(Any, Loop()))

        def listen() -> None:
            with suppress(SystemExit):
                told.listen()

        listening = threading.Thread(target=listen)
        listening.start()
        try:
            for number in range(2000):
                expect = msgspec.structs.replace(EXPECT, login=str(number))
                ours.sendall(framed(expect))
                assert told.login(expect.login) is not None
        finally:
            ours.close()
            listening.join()


DEFECT = RuntimeError("a defect")


@pytest.mark.parametrize("odd", [{"excess": DEFECT}, {"excess": "it is odd", "fails": True}])
def test_a_check_of_a_connection_that_fails_ends_that_connection_alone(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]
) -> None:
    monkeypatch.setattr("cucmd.receiver.receiving.CHECK_EVERY", 0)

    async def look() -> None:
        peers = [Peer(), Peer(**odd), Peer()]
        for peer in peers:
            receiving.admit(cast(Any, peer))
        for peer in peers:
            await asyncio.wait_for(peer.looked_at_again.wait(), 10)
        assert [bool(peer.aborts) for peer in peers] == [False, True, False]

    asyncio.run(look())


def test_a_channel_says_whether_there_is_something_to_receive_or_the_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs)
        assert not channel.has_more()
        ours.sendall(framed(EXPECT))
        channel.wait()
        assert channel.has_more()
        assert channel.receive(msgspec.msgpack.Decoder(ToReceiving)) == EXPECT
        assert not channel.has_more()
        ours.close()
        channel.wait()
        assert channel.has_more()
        with pytest.raises(DaemonGone):
            channel.receive(msgspec.msgpack.Decoder(ToReceiving))
