"""PURE. Makes the command lines of checked words: `file get`, and those of a capture.

Beside them stand the answers that a `file get` gets, and where the files of a capture are.
`delete_line` is the only command of ours that changes anything on a node. It takes the name of a
file that only a capture of ours has, and no pattern.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NewType

import msgspec

from cucmd.job.asked import LOCATIONS
from cucmd.job.capture import CaptureSettings
from cucmd.vos.arguments import InvalidArgument, check_line, check_word
from cucmd.vos.texts import INTERRUPTED
from cucmd.vos.window import Window

MOST_PACKETS = 100_000  # in a file of the node (V)
MOST_BYTES = 65_535  # of a packet of IP
_FOLDER = "platform/cli"
# Without a dot (V). No file of the appliance begins so (I).
PREFIX = "cucmd_"
_NAME = re.compile(PREFIX + "[0-9a-z_]{1,40}")
# A name that was used before gets a number behind it (C); on which side of the dot is not known.
_BEHIND = re.compile(r"[0-9]{0,4}\.cap[0-9]{0,4}")
_FILE = re.compile(_NAME.pattern + _BEHIND.pattern)
_OPTIONS = "Executing command with options"
_OPTION = re.compile(r"[a-z]{1,12}=")
_INTERFACE = re.compile(r"[a-z][a-z0-9]{0,14}")


class FileGet(msgspec.Struct, frozen=True):
    """Describes one `file get`: which files of the node, and from which window of time."""

    location: str
    path: str
    window: Window = None
    match: str | None = None
    recurs: bool = False
    compress: bool = False

    def command_line(self) -> str:
        """Returns the line to type. Raises InvalidArgument."""
        if self.location not in LOCATIONS:
            raise InvalidArgument(
                "location", self.location, f"expected one of {', '.join(LOCATIONS)}"
            )
        words = ["file get", self.location, check_word("path", self.path)]
        if self.window is not None:
            words.append(str(self.window))
        if self.match is not None:
            words += ["match", check_word("match", self.match)]
        if self.recurs:
            words.append("recurs")
        if self.compress:
            words.append("compress")
        return " ".join(words)


class ReceiverAddress(msgspec.Struct, frozen=True):
    """Says where the node is to push its files: what `file get` asks for that."""

    host: str
    port: int
    username: str
    password: str
    directory: str

    def __repr__(self) -> str:
        return (
            f"ReceiverAddress(host={self.host!r}, port={self.port}, username={self.username!r}, "
            f"password='*****', directory={self.directory!r})"
        )

    def check(self) -> None:
        """Raises InvalidArgument for an answer that cannot be encode_line, without the password."""
        check_word("host", self.host)
        if not 0 < self.port < 65536:
            raise InvalidArgument("port", str(self.port), "expected a port from 1 to 65535")
        check_line("username", self.username)
        check_line("password", self.password, secret=True)
        check_line("directory", self.directory)


# Only `capture_line` makes one.
CaptureLine = NewType("CaptureLine", str)


def capture_line(what: CaptureSettings) -> CaptureLine:
    """Returns the line that begins a capture, into a file of that name. Raises InvalidArgument."""
    words = ["utils network capture"]
    words += [_checked("interface", what.interface, _INTERFACE, "expected a name such as eth0")]
    words += ["file", _capture_name(what.name)]
    words += ["count", _number("count", what.count, MOST_PACKETS)]
    words += ["size", "all" if what.size is None else _number("size", what.size, MOST_BYTES)]
    if what.port is not None:
        words += ["port", _number("port", what.port, 65_535)]
    if what.host is not None:
        try:
            words += ["host ip", str(ipaddress.IPv4Address(what.host))]
        except ValueError:  # no documentation says what the node does with another address
            raise InvalidArgument("host", what.host, "expected an IPv4 address") from None
    return CaptureLine(" ".join(words))


def _checked(field: str, value: str, form: re.Pattern[str], reason: str) -> str:
    if not form.fullmatch(value):
        raise InvalidArgument(field, value, reason)
    return value


def _capture_name(name: str) -> str:
    return _checked("name", name, _NAME, "is not the name of a capture of ours")


def _number(field: str, number: int, most: int) -> str:
    if not 1 <= number <= most:
        raise InvalidArgument(field, str(number), f"expected a number from 1 to {most}")
    return str(number)


def strip_capture_options(lines: Iterable[str]) -> tuple[str, ...]:
    """Returns the answer to a capture without the options that the node prints before it begins
    (V): `Executing command with options:` and lines of ` size=ALL  count=1000  interface=eth0`.
    The echo of Ctrl-C and the shell's answer to it are left out too.
    """
    kept = []
    for line in lines:
        words = line.replace("^C", " ").split()
        if not (
            line.strip().startswith(_OPTIONS)
            or " ".join(words) == INTERRUPTED
            or all(_OPTION.match(word) for word in words)
        ):
            kept.append(line)
    return tuple(kept)


def capture_path(name: str) -> str:
    """Returns where the files of a capture are below `activelog`, as `file get` takes it."""
    return f"{_FOLDER}/{_capture_name(name)}*.cap*"


def is_capture_file(file: str, name: str) -> bool:
    """Says whether a file of the node can be one that the capture of that name has written."""
    return file.startswith(name) and _BEHIND.fullmatch(file[len(name) :]) is not None


def delete_line(file: str) -> str:
    """Returns the line that removes one file of a capture of ours. Raises InvalidArgument."""
    checked = _checked("file", file, _FILE, "is no file of a capture of ours")
    return f"file delete activelog {_FOLDER}/{checked} noconfirm"
