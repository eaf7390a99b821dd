"""What processes of a test do, that are forked for it: each thing that one must not."""

import ctypes
import errno
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from cucmd.failure import Code
from cucmd.received_file import PacketCount
from cucmd.worker.forked import Channel
from cucmd.worker.frames import (
    Begin,
    Closed,
    Expect,
    Figures,
    Forget,
    Forgotten,
    LogLine,
    Open,
    Opened,
    Stamped,
    ToReceiving,
    UploadsRefused,
    Wants,
    What,
)
from rig.taken_over import attempts, outcome


class Words(msgspec.Struct, tag=True):
    text: str


made_in: list[int] = []  # processes that have done what comes before forks


def before_forks() -> None:
    made_in.append(os.getpid())


def obey(channel: Channel) -> None:
    """Does what it is told in two words; answers with an error's name, or "done"."""
    what, _, value = channel.receive(msgspec.msgpack.Decoder(Words)).text.partition(" ")
    try:
        said = WHAT[what](value)
    except OSError as error:
        said = type(error).__name__
    channel.send(Words(str(said or "done")))


def told(channel: Channel) -> Iterator[ToReceiving]:
    """Yields what the daemon says: first of the logins that there are at the fork."""
    yield from channel.receive(msgspec.msgpack.Decoder(Begin)).expected
    while True:
        yield channel.receive(msgspec.msgpack.Decoder(ToReceiving))


def end_with_a_file(channel: Channel) -> None:
    """Receives nothing: tells of a file that is whole, with many words, and ends."""
    login = next(told(channel)).login
    os.close(channel.open(Open(login, "folder", "")))
    os.close(channel.open(Open(login, "new file", "x")))
    for number in range(100):
        channel.send(LogLine(30, f"word {number}"))
    channel.send(Opened(login, 0, "x", "x"))
    channel.send(Closed(login=login, number=0, size=0, sha256="0" * 64, closed=True))


def lie(channel: Channel) -> None:
    """Receives nothing: tells of each login what its name asks for, which is never true."""
    for one in told(channel):
        if isinstance(one, Expect):
            for frame in LIES[one.name](one.login):
                if isinstance(frame, bytes):
                    send_nonsense("")
                elif isinstance(frame, Open):
                    os.close(channel.open(frame))
                else:
                    channel.send(frame)


def end_without_a_word(channel: Channel) -> None:
    """Receives nothing: has a file made, and ends."""
    login = next(told(channel)).login
    os.close(channel.open(Open(login, "folder", "")))
    os.write(channel.open(Open(login, "new file", "x")), b"123")


def forget_nothing(channel: Channel) -> None:
    """Receives nothing: uses each login, and does not answer when it ends."""
    for one in told(channel):
        if isinstance(one, Expect):
            os.close(channel.open(Open(one.login, "folder", "")))
            channel.send(Figures(login=one.login, logins=1))


def reach(channel: Channel) -> None:
    """Receives nothing: says what comes of its attempts to open something in each login's folder,
    and in those of the logins before.
    """
    logins = ["of nobody"]
    for one in told(channel):
        if isinstance(one, Forget):
            channel.send(LogLine(30, f"forgets: {opened(channel, Open(one.login, 'folder', ''))}"))
            channel.send(Forgotten(one.login))
        if isinstance(one, Expect):
            logins.append(one.login)
            for login in logins:
                said = [opened(channel, Open(login, *attempt)) for attempt in ATTEMPTS]
                channel.send(LogLine(30, f"{one.name}: {' '.join(said)}"))


# What and path of `Open`.
ATTEMPTS: list[tuple[What, str]] = [
    ("folder", ""),
    ("new file", "file"),  # which is there
    ("new file", "link/new"),
    ("folder", "link"),
    ("new file", "new"),
    ("new folder", "below"),
    ("folder", "below"),
]


files: Counter[str] = Counter()  # that it has told of


def opened(channel: Channel, asked: Open) -> str:
    """Says what is at the other end of a descriptor, or the error. Tells of a file as it must."""
    try:
        descriptor = channel.open(asked)
    except OSError as error:
        return errno.errorcode[error.errno]
    try:
        os.open("file", os.O_RDONLY, dir_fd=descriptor)
    except NotADirectoryError:
        files[asked.login] += 1
        channel.send(Opened(asked.login, files[asked.login] - 1, asked.path, asked.path))
        return "file"
    except (PermissionError, FileNotFoundError):
        return "folder"
    finally:
        os.close(descriptor)
    return "a file of before"


def own(number: int = 0) -> str:
    """Returns the name of a file that no process before this one has made."""
    return f"{os.getpid()}.{number}"


def new(login: str, number: int = 0) -> list[Open]:
    return [Open(login, "folder", ""), Open(login, "new file", own(number))]


LIES: dict[str, Callable[[str], list[msgspec.Struct | bytes]]] = {
    "another's login": lambda _: [Figures(login="another")],
    "a path that leads out": lambda login: [*new(login), Opened(login, 0, "../x", own())],
    "an absolute path": lambda login: [*new(login), Opened(login, 0, "/x", own())],
    "no path": lambda login: [*new(login), Opened(login, 0, "", own())],
    "a file that it has skipped": lambda login: [*new(login), Opened(login, 1, "x", own())],
    "a file that nobody has made": lambda login: [Opened(login, 0, "x", "x")],
    "a file that was not opened": lambda login: [
        Closed(login=login, number=0, size=0, sha256="0" * 64, closed=True)
    ],
    "a file of before": lambda login: [Stamped(login, -1, 0)],
    "a hash that is none": lambda login: [
        *new(login),
        Opened(login, 0, "x", own()),
        Closed(login=login, number=0, size=0, sha256="x", closed=True),
    ],
    "a size beyond all that came": lambda login: [
        *new(login),
        Opened(login, 0, "x", own()),
        Closed(login=login, number=0, size=2**40, sha256="0" * 64, closed=True),
    ],
    "bytes that were not granted": lambda login: [Figures(login=login, received=1)],
    "figures that fall": lambda login: [Figures(login=login, logins=1), Figures(login=login)],
    "a wish for everything": lambda login: [Wants(login, 2**40)],
    "wishes without end, and it reads no answer": lambda login: [Wants(login, 0)] * 20_000,
    "open files without end": lambda login: [
        one
        for number in range(1000)
        for one in (*new(login, number), Opened(login, number, "x", own(number)))
    ],
    "a line without end": lambda _: [LogLine(40, "x" * 2001)],
    "another's failure": lambda login: [UploadsRefused(login, Code.AUTH_FAILED, "x")],
    "an end before the end": lambda login: [Forgotten(login)],
    "more after the last": lambda login: [Forgotten(login), Forgotten(login)],
    "a way out of its folder": lambda login: [Open(login, "new file", "../x")],
    "a way to another folder": lambda login: [Open(login, "new file", "/x")],
    "something else of a folder": lambda login: [Open(login, "remove", "x")],  # type: ignore[arg-type]
    "a frame too long": lambda _: [b""],
    "another frame": lambda _: [Words("x")],
}


def spin(_value: str) -> None:
    while True:
        pass


def stay_in_a_pattern(_value: str) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


def send_nonsense(_: object) -> None:
    (channel,) = (number for number in range(64) if is_stream(number))
    os.write(channel, b"\xff\xff\xff\xff more than can be")
    signal.pause()


def is_stream(number: int) -> bool:
    """Others are those by which connections and descriptors come."""
    try:
        with socket.socket(fileno=os.dup(number)) as one:
            return one.type == socket.SOCK_STREAM
    except OSError:
        return False


def connect(_value: str) -> None:
    socket.create_connection(("127.0.0.1", 9), 5)


# Roles in place of those of the daemon


def say_words(channel: Channel) -> None:
    """It answers something else."""
    channel.send(Words("of another"))
    signal.pause()


def keep(channel: Channel) -> None:
    """Keeps what it was given, and does nothing with it."""
    kept = channel.receive(msgspec.msgpack.Decoder())
    signal.pause()
    del kept


def never_end(_: Channel) -> None:
    spin("")


def exaggerate(channel: Channel) -> None:
    channel.send(PacketCount(10**12))
    signal.pause()


def take_over(value: str) -> str:
    """Tries what a process must not do. Says what came of each attempt that was not refused."""
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
