"""Plays a client of the receiver's request handler, without a network."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

import msgspec

from cucmd.allowance import Quota
from cucmd.receiver.client_paths import split_stored_path
from cucmd.receiver.daemon_client import DaemonClient
from cucmd.receiver.folder import open_in
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.login_files import ConnectionFiles, FileCount, LoginFiles
from cucmd.receiver.messages import FromProcess, Open, OpenFailed, ToProcess
from cucmd.receiver.sftp_packets import PacketBuffer, PacketType
from cucmd.receiver.sftp_requests import RequestHandler
from rig import sftp_words as words
from rig.sftp_words import Reply

_ASKED = msgspec.msgpack.Decoder(FromProcess)


class Daemon:
    """Answers what a receiving process asks the daemon, for a login in `folder`."""

    def __init__(self, folder: Path, received: LoginFiles, limits: ReceiverLimits) -> None:
        self.files = ConnectionFiles(received, limits)
        self._folder = folder
        self._limits = limits
        self._answer: tuple[ToProcess, int | None]

    def send(self, frame: FromProcess) -> None:
        asked = _ASKED.decode(msgspec.msgpack.encode(frame))
        if not isinstance(asked, Open):
            self._answer = self.files.answer(asked), None
        elif (refused := self.files.check_open(asked)) is not None:
            self._answer = refused, None
        else:
            try:
                parts = split_stored_path(asked.path, self._limits)
                descriptor = open_in(self._folder, asked.what, parts)
            except OSError as error:
                self._answer = OpenFailed(error.errno or errno.EIO), None
            else:
                self._answer = self.files.opened(asked), descriptor

    def receive(self, _: object) -> ToProcess:
        return self._answer[0]

    def receive_descriptor(self) -> int:
        assert self._answer[1] is not None
        return self._answer[1]


def login_of(
    folder: Path, received: LoginFiles, limits: ReceiverLimits
) -> tuple[DaemonClient, Daemon]:
    daemon = Daemon(folder, received, limits)
    login = DaemonClient(cast(Any, daemon))
    login.name = "job/node"
    return login, daemon


def received_by(limits: ReceiverLimits, quota: Quota | None = None) -> LoginFiles:
    return LoginFiles(limits, quota or Quota(), FileCount())


class Client:
    """Holds a connection, and sends one request at a time."""

    def __init__(self, folder: Path, received: LoginFiles, limits: ReceiverLimits) -> None:
        self.folder = folder
        self.received = received
        self.login, self.daemon = login_of(folder, received, limits)
        self.handler = RequestHandler(self.login, FreeSpace(0, 0.0), limits)
        self.say(words.init())

    def end(self) -> None:
        """Plays the end of the process. Open files then have their size on the disk."""
        left = self.daemon.files.left_open()
        sizes = {number: os.stat(self.folder / name).st_size for number, name in left.items()}
        self.daemon.files.end(sizes)

    def say(self, data: bytes) -> list[Reply]:
        answers = b"".join(map(self.handler.answer, PacketBuffer().feed(data)))
        return list(words.replies(answers))

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
        """Sends a whole file; returns the reply to the close."""
        handle = self.open(path).handle
        for at in range(0, len(content), 1000):
            self.write(handle, at, content[at : at + 1000])
        return self.close(handle)
