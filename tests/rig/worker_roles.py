"""Roles of worker processes for tests. Each tries something that a worker must not do."""

import ctypes
import errno
import os
import re
import signal
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from cucmd.failure import Code
from cucmd.receiver.messages import (
    AskBytes,
    Begin,
    BytesReceived,
    FileClosed,
    LogIn,
    LogLine,
    Open,
    Opened,
    OpenFailed,
    OpenKind,
    TimeSet,
    ToProcess,
    UploadsRefused,
)
from cucmd.worker.forked import Channel
from rig.taken_over import attempts, outcome


class Words(msgspec.Struct, tag=True):
    text: str


made_in: list[int] = []  # the processes in which `before_forks` was called


def before_forks() -> None:
    made_in.append(os.getpid())


def obey(channel: Channel) -> None:
    """Makes the call that the test names; answers with the name of the error, or "done"."""
    what, _, value = channel.receive(msgspec.msgpack.Decoder(Words)).text.partition(" ")
    try:
        said = WHAT[what](value)
    except OSError as error:
        said = type(error).__name__
    channel.send(Words(str(said or "done")))


# -- processes that receive nothing, and do what the client of their connection says


def ask(channel: Channel, asked: msgspec.Struct) -> tuple[ToProcess, int | None]:
    channel.send(asked)
    answer = channel.receive(msgspec.msgpack.Decoder(ToProcess))
    return answer, channel.receive_descriptor() if isinstance(answer, Opened) else None


def log_in(channel: Channel) -> str:
    """Reads a login from the connection, and presents it. Returns what else the client says."""
    channel.receive(msgspec.msgpack.Decoder(Begin))
    with (
        socket.socket(fileno=channel.receive_descriptor()) as connection,
        connection.makefile() as said,
    ):
        username, password, what = said.readline().rstrip().split(" ", 2)
    ask(channel, LogIn(username, password))
    return what


def end_with_a_file(channel: Channel) -> None:
    """Reports a whole file and many lines for the log, and ends."""
    log_in(channel)
    ask(channel, Open("folder", ""))
    for number in range(100):
        ask(channel, LogLine(30, f"word {number}"))
    ask(channel, Open("new file", "x"))
    ask(channel, FileClosed(number=0, size=0, sha256="0" * 64, closed=True))


def end_without_a_word(channel: Channel) -> None:
    """Opens a new file, writes to it, and ends without a word."""
    log_in(channel)
    ask(channel, Open("folder", ""))
    _, descriptor = ask(channel, Open("new file", "x"))
    assert descriptor is not None
    os.write(descriptor, b"123")


def never_log_in(channel: Channel) -> None:
    """Keeps the connection for ever without a login."""
    channel.receive(msgspec.msgpack.Decoder(Begin))
    channel.receive_descriptor()
    signal.pause()


def lie(channel: Channel) -> None:
    """Sends frames that can never be true."""
    for frame in LIES[log_in(channel)]:
        if isinstance(frame, bytes):
            send_nonsense("")
        else:
            ask(channel, frame)


def reach(channel: Channel) -> None:
    """Logs what comes of attempts to open something in the folder of its login."""
    log_in(channel)
    said = [opened(*ask(channel, Open(*attempt))) for attempt in ATTEMPTS]
    ask(channel, LogLine(30, f"reached: {' '.join(said)}"))
    signal.pause()


# The fields `what` and `path` of Open.
ATTEMPTS: list[tuple[OpenKind, str]] = [
    ("folder", ""),
    ("new file", "file"),  # this file exists
    ("new file", "link/new"),
    ("folder", "link"),
    ("new file", "new"),
    ("new folder", "below"),
    ("folder", "below"),
]


def opened(answer: ToProcess, descriptor: int | None) -> str:
    """Says what a descriptor refers to, or returns the name of the error."""
    if isinstance(answer, OpenFailed):
        return errno.errorcode[answer.error]
    assert descriptor is not None
    try:
        os.open("file", os.O_RDONLY, dir_fd=descriptor)
    except NotADirectoryError:
        return "file"
    except (PermissionError, FileNotFoundError):
        return "folder"
    finally:
        os.close(descriptor)
    return "a file of before"


FILE = [Open("folder", ""), Open("new file", "x")]

LIES: dict[str, Sequence[msgspec.Struct | bytes]] = {
    "a file that was not opened": [FileClosed(number=0, size=0, sha256="0" * 64, closed=True)],
    "a file that is closed": [
        *FILE,
        *[FileClosed(number=0, size=0, sha256="0" * 64, closed=False)] * 2,
    ],
    "a file of another": [*FILE, TimeSet(1, 0)],
    "a stamp that is none": [*FILE, TimeSet(0, -1)],
    "a hash that is none": [*FILE, FileClosed(number=0, size=0, sha256="x", closed=True)],
    "a file without a hash": [*FILE, FileClosed(number=0, size=0, sha256="", closed=True)],
    "a size beyond all that came": [
        *FILE,
        FileClosed(number=0, size=2**40, sha256="0" * 64, closed=True),
    ],
    "bytes that were not granted": [BytesReceived(1)],
    "bytes that fall": [AskBytes(2), BytesReceived(2), BytesReceived(1)],
    "a wish for everything": [AskBytes(2**40)],
    "open files without end": [Open("new file", str(number)) for number in range(1000)],
    "a line without end": [LogLine(40, "x" * 2001)],
    "another's failure": [UploadsRefused(Code.AUTH_FAILED, "x")],
    "another login": [LogIn("another", "password")],
    "a way out of its folder": [Open("new file", "../x")],
    "a way to another folder": [Open("new file", "/x")],
    "something else of a folder": [Open("remove", "x")],  # type: ignore[arg-type]
    "a frame too long": [b""],
    "another frame": [Words("x")],
}


def spin(_value: str) -> None:
    while True:
        pass


def stay_in_a_pattern(_value: str) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


def send_nonsense(_: object) -> None:
    channel = next(number for number in range(64) if is_socket(number))
    os.write(channel, b"\xff\xff\xff\xff more than can be")
    signal.pause()


def is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False


def connect(_value: str) -> None:
    socket.create_connection(("127.0.0.1", 9), 5)


# -- roles instead of those of the daemon


def say_words(channel: Channel) -> None:
    """Answers with a frame of another kind."""
    channel.send(Words("of another"))
    signal.pause()


def take_over(value: str) -> str:
    """Makes the attempts of `taken_over`; returns those that were not refused with EPERM."""
    state, daemon = value.split()
    said = {name: outcome(attempt) for name, attempt in attempts(Path(state), int(daemon)).items()}
    return " ".join(f"{name}: {one}" for name, one in said.items() if one != "EPERM")


def call_in_the_form_of_x32(_value: str) -> None:
    ctypes.CDLL(None).syscall(0x40000000)


def flood(_value: str) -> None:
    for _ in range(2000):
        with suppress(BlockingIOError):
            os.write(2, b"flood " * 100)


WHAT = {
    "flood": flood,
    "taken-over": take_over,
    "x32": call_in_the_form_of_x32,
    "say": str,
    "spin": spin,
    "pattern": stay_in_a_pattern,
    "take": lambda value: str(len(bytes(int(value)))),
    "fail": lambda _: 1 / 0,
    "leave": lambda value: os._exit(int(value)),
    "read": lambda path: Path(path).read_text(),
    "write": lambda path: Path(path).write_text("x"),
    "remove": os.remove,
    "truncate": lambda path: os.truncate(path, 0),
    "rename": lambda path: os.rename(path, f"{path}.new"),
    "link": lambda path: os.symlink("/etc", f"{path}.new"),
    "list": lambda path: " ".join(os.listdir(path)),
    "connect": connect,
    "nonsense": send_nonsense,
    "made": lambda _: str(made_in == [os.getppid()]),
    "environ": lambda _: " ".join(sorted(os.environ)),
    "stop": lambda _: signal.raise_signal(signal.SIGSTOP),
    "daemon": lambda pid: os.kill(int(pid), 0),
    "terminate": lambda _: signal.raise_signal(signal.SIGTERM),
}
