"""What a process that receives does with what it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import asyncssh
import pytest

from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.receiving import Receiving
from cucmd.worker.frames import Begin, Expect, Forget, ToReceiving

KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
BEGIN = Begin(host_keys=(KEY,), limits={}, legacy_algorithms=False)
EXPECT = Expect(login="login", digest=b"", source="", name="job/node")


class Daemon:
    """What a process that receives is told by it."""

    def __init__(self) -> None:
        self.frames: list[ToReceiving] = []

    def receive(self, _: object) -> ToReceiving:
        if not self.frames:
            raise EOFError
        return self.frames.pop(0)

    def send(self, frame: object) -> None:
        """Nobody looks at what it is told."""


class Loop:
    """An event loop that is quicker than any other thread."""

    def call_soon_threadsafe(self, function: Callable[[], None]) -> None:
        function()


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def receiving(daemon: Daemon) -> Iterator[Receiving]:
    yield Receiving(cast(Any, daemon), ReceiverLimits(), BEGIN)
    asyncssh.set_default_skip_rsa_key_validation(False)  # for all of this process


@pytest.fixture
def tell(daemon: Daemon, receiving: Receiving) -> Callable[[ToReceiving], None]:
    def tell(frame: ToReceiving) -> None:
        daemon.frames.append(frame)
        with pytest.raises(EOFError):
            receiving.listen(cast(Any, Loop()))

    return tell


def test_no_connection_enters_a_login_that_has_ended(
    receiving: Receiving, tell: Callable[[ToReceiving], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the thread that ends it is not there yet."""
    tell(EXPECT)
    login = receiving.login("login")
    assert login is not None
    assert receiving.session(login) is not None, "which is to be ended in a thread"
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    assert login.admits()
    tell(Forget("login"))
    assert not login.admits()
