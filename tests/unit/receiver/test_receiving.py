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


class Told:
    """The daemon, which says these things, and what it is told."""

    def __init__(self, *frames: ToReceiving) -> None:
        self._frames = list(frames)
        self.said: list[object] = []

    def receive(self, _: object) -> ToReceiving:
        if not self._frames:
            raise EOFError
        return self._frames.pop(0)

    def send(self, frame: object) -> None:
        self.said.append(frame)


class Loop:
    """An event loop that is quicker than any other thread."""

    def call_soon_threadsafe(self, function: Callable[[], None]) -> None:
        function()


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    yield Receiving(cast(Any, Told()), ReceiverLimits(), BEGIN)
    asyncssh.set_default_skip_rsa_key_validation(False)  # for all of this process


def told(receiving: Receiving, *frames: ToReceiving) -> None:
    receiving._channel = cast(Any, Told(*frames))
    with pytest.raises(EOFError):
        receiving.listen(cast(Any, Loop()))


def test_no_connection_enters_a_login_that_has_ended(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the thread that ends it is not there yet."""
    told(receiving, EXPECT)
    login = receiving.login("login")
    assert login is not None
    assert receiving.session(login) is not None, "which is to be ended in a thread"
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    assert login.admits()
    told(receiving, Forget("login"))
    assert not login.admits()
