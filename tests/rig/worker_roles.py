"""What processes of a test do, that are forked for it: each thing that one must not."""

import os
import re
import signal
import socket
import stat
from pathlib import Path

import msgspec

from cucmd.received_file import PacketCount
from cucmd.worker.forked import Channel


class Words(msgspec.Struct, tag=True):
    text: str


def obey(channel: Channel) -> None:
    """Does what it is told in two words; answers with an error's name, or "done"."""
    what, _, value = channel.receive(msgspec.msgpack.Decoder(Words)).text.partition(" ")
    try:
        said = WHAT[what](value)
    except OSError as error:
        said = type(error).__name__
    channel.send(Words(str(said or "done")))


def spin(_value: str) -> None:
    while True:
        pass


def stay_in_a_pattern(_value: str) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


def send_nonsense(_: object) -> None:
    (channel,) = (number for number in range(64) if is_socket(number))
    os.write(channel, b"\xff\xff\xff\xff more than can be")
    signal.pause()


def is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False


def connect(_value: str) -> None:
    socket.create_connection(("127.0.0.1", 9), 5)


# Roles in place of those of the daemon


def say_words(channel: Channel) -> None:
    """It answers something else."""
    channel.send(Words("of another"))
    signal.pause()


def exaggerate(channel: Channel) -> None:
    channel.send(PacketCount(10**12))
    signal.pause()


WHAT = {
    "say": str,
    "spin": spin,
    "pattern": stay_in_a_pattern,
    "take": lambda value: str(len(bytes(int(value)))),
    "fail": lambda _: 1 / 0,
    "leave": lambda value: os._exit(int(value)),
    "read": lambda path: Path(path).read_text(),
    "write": lambda path: Path(path).write_text("x"),
    "list": lambda path: " ".join(os.listdir(path)),
    "connect": connect,
    "nonsense": send_nonsense,
    "environ": lambda _: " ".join(sorted(os.environ)),
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "daemon": lambda pid: os.kill(int(pid), 0),
    "terminate": lambda _: os.kill(os.getpid(), signal.SIGTERM),
}
