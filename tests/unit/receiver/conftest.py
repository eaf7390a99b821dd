"""The receiver's request handler and a client, without a network between them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cucmd.allowance import Quota
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.folder import TargetFolder
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.packets import Kind, PacketBuffer
from cucmd.receiver.requests import RequestHandler
from rig import sftp_words as words
from rig.sftp_words import Reply


class Client:
    """Sends one request at a time. `accounting` and `folder` are those of its target."""

    def __init__(self, folder: Path, accounting: Accounting, limits: ReceiverLimits) -> None:
        self.folder = folder
        self.accounting = accounting
        self.handler = RequestHandler(TargetFolder(folder), accounting, FreeSpace(0, 0.0), limits)
        self.say(words.init())

    def say(self, data: bytes) -> list[Reply]:
        packets = deque(PacketBuffer().feed(data))
        answers = bytearray()
        while packets:
            answers += self.handler.answer(packets)
        return list(words.replies(bytes(answers)))

    def ask(self, packet: bytes) -> Reply:
        (reply,) = self.say(packet)
        return reply

    def open(self, path: bytes, flags: int = words.PUT) -> Reply:
        return self.ask(words.open_file(1, path, flags))

    def write(self, handle: bytes, offset: int, block: bytes) -> Reply:
        return self.ask(words.write(2, handle, offset, block))

    def close(self, handle: bytes) -> Reply:
        return self.ask(words.on_handle(Kind.CLOSE, 3, handle))

    def on_path(self, kind: Kind, path: bytes, more: bytes = b"") -> Reply:
        return self.ask(words.on_path(kind, 4, path, more))

    def mkdir(self, path: bytes) -> Reply:
        return self.ask(words.mkdir(5, path))

    def put(self, path: bytes, content: bytes) -> Reply:
        """A whole file; the reply is that to the close."""
        handle = self.open(path).handle
        for at in range(0, len(content), 1000):
            self.write(handle, at, content[at : at + 1000])
        return self.close(handle)


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """`make_client(quota, files=3)`: a session in a target with these limits.

    Called again, it makes another session in the same target.
    """
    clients: list[Client] = []

    def make(quota: Quota | None = None, **limits: int) -> Client:
        allowed = ReceiverLimits(**limits)
        accounting = (
            clients[0].accounting if clients else Accounting("job/node", quota or Quota(), allowed)
        )
        clients.append(Client(tmp_path / "target", accounting, allowed))
        return clients[-1]

    before = os.listdir("/proc/self/fd")
    yield make
    for client in clients:
        client.handler.close()
    assert os.listdir("/proc/self/fd") == before, "a descriptor was left open"


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()
