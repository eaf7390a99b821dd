"""A client of the receiver's request handler, without a network between them."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from cucmd.allowance import Quota
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.folder import TargetFolder, open_in
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.packets import PacketBuffer, PacketType
from cucmd.receiver.paths import stored_parts
from cucmd.receiver.received import FileCount, Received, Side
from cucmd.receiver.requests import RequestHandler
from cucmd.worker.frames import Grant, OfLogin, Refuse, packet
from rig import sftp_words as words
from rig.sftp_words import Reply

DECODER = msgspec.msgpack.Decoder(OfLogin)


class Pair:
    """A login, in a process that receives and in the daemon, without processes."""

    def __init__(self, limits: ReceiverLimits, quota: Quota | None = None) -> None:
        self.received = Received(limits, quota or Quota(), FileCount())
        self.accounting = Accounting("login", "job/node", limits, self._tell)
        self._side = Side(self.received, limits)

    def _tell(self, frame: OfLogin) -> None:
        match self._side.take(DECODER.decode(packet(frame))):
            case Grant(_, size):
                self.accounting.grant(size)
            case Refuse(_, message):
                self.accounting.refused_by_the_daemon(message)


def target_folder(folder: Path) -> TargetFolder:
    """Opens it as a process does, which asks the daemon to open what is in it."""
    limits = ReceiverLimits()
    return TargetFolder(lambda what, path: open_in(folder, what, stored_parts(path, limits)))


class Client:
    """Sends one request at a time. All but the handler are those of its login."""

    def __init__(self, folder: Path, pair: Pair, limits: ReceiverLimits) -> None:
        self.folder = folder
        self.accounting = accounting = pair.accounting
        self.received = pair.received
        space = FreeSpace(0, 0.0)
        self.handler = RequestHandler(target_folder(folder), accounting, space, limits)
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

    def open(
        self, path: bytes, flags: int = words.PUT, attributes: bytes = words.NO_ATTRIBUTES
    ) -> Reply:
        return self.ask(words.open_file(1, path, flags, attributes))

    def write(self, handle: bytes, offset: int, block: bytes) -> Reply:
        return self.ask(words.write(2, handle, offset, block))

    def close(self, handle: bytes) -> Reply:
        return self.ask(words.on_handle(PacketType.CLOSE, 3, handle))

    def set_times(self, handle: bytes, times: bytes) -> Reply:
        return self.ask(words.on_handle(PacketType.FSETSTAT, 6, handle, times))

    def on_path(self, kind: PacketType, path: bytes, more: bytes = b"") -> Reply:
        return self.ask(words.on_path(kind, 4, path, more))

    def mkdir(self, path: bytes) -> Reply:
        return self.ask(words.mkdir(5, path))

    def put(self, path: bytes, content: bytes) -> Reply:
        """Sends a whole file; the reply is that to the close."""
        handle = self.open(path).handle
        for at in range(0, len(content), 1000):
            self.write(handle, at, content[at : at + 1000])
        return self.close(handle)
