"""PURE. Makes the command lines of `file get` and of packet captures, from checked words.

This file also has the answers that `file get` needs about the receiver, and the names and paths of
a capture's files. `delete_line` makes our only command that changes a node. It accepts only the
names that our own captures give to their files, and no pattern.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NewType

import msgspec

from cucmd.job.capture import CaptureSettings
from cucmd.vos.arguments import InvalidArgument, check_line, check_word
from cucmd.vos.texts import INTERRUPTED
from cucmd.vos.time_window import Window

MOST_PACKETS = 100_000  # a file of the node takes no more (V)
MOST_BYTES = 65_535  # the longest packet of IP
_FOLDER = "platform/cli"
# The name of a capture must have no dot (V). No file of the appliance begins with this prefix (I).
PREFIX = "cucmd_"
_NAME = re.compile(PREFIX + "[0-9a-z_]{1,40}")
# A node adds a number to a name that was used before (C), on an unknown side of the dot.
_BEHIND = re.compile(r"[0-9]{0,4}\.cap[0-9]{0,4}")
_FILE = re.compile(_NAME.pattern + _BEHIND.pattern)
_OPTIONS = "Executing command with options"
_OPTION = re.compile(r"[a-z]{1,12}=")
_INTERFACE = re.compile(r"[a-z][a-z0-9]{0,14}")


class FileGet(msgspec.Struct, frozen=True):
    """Describes one `file get`: the files that it asks for, and their window of time."""

    location: str
    path: str
    window: Window = None
    match: str | None = None
    recurs: bool = False
    compress: bool = False

    def command_line(self) -> str:
        """Returns the line to type. Raises InvalidArgument."""
        words = ["file get", check_word("location", self.location), check_word("path", self.path)]
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
    """Holds the answers to the questions of `file get` about the receiver."""

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
        """Raises InvalidArgument, without the password, for a value that cannot be typed."""
        check_word("host", self.host)
        check_line("username", self.username)
        check_line("password", self.password, secret=True)
        check_line("directory", self.directory)


# Only `capture_line` makes values of this type, so that nothing else can start a capture.
CaptureLine = NewType("CaptureLine", str)


def capture_line(what: CaptureSettings) -> CaptureLine:
    """Returns the line that begins a capture. Raises InvalidArgument."""
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
        except ValueError:  # it is not documented how a node treats an IPv6 address
            raise InvalidArgument("host", what.host, "expected an IPv4 address") from None
    return CaptureLine(" ".join(words))


def _checked(field: str, value: str, form: re.Pattern[str], reason: str) -> str:
    if not form.fullmatch(value):
        raise InvalidArgument(field, value, reason)
    return value


def _capture_name(name: str) -> str:
    return _checked("name", name, _NAME, f"expected a name that begins with {PREFIX}")


def _number(field: str, number: int, most: int) -> str:
    if not 1 <= number <= most:
        raise InvalidArgument(field, str(number), f"expected a number from 1 to {most}")
    return str(number)


def strip_capture_options(lines: Iterable[str]) -> tuple[str, ...]:
    """Returns the answer to a capture without its options and the shell's answer to Ctrl-C.

    A node first prints the options of the capture (V): `Executing command with options:` and lines
    such as ` size=ALL  count=1000  interface=eth0`.
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
    """Returns the path of a capture's files below `activelog`, for `file get`."""
    return f"{_FOLDER}/{_capture_name(name)}*.cap*"


def is_capture_file(file: str, name: str) -> bool:
    """Says whether the capture called `name` may have written the node's file `file`."""
    return file.startswith(name) and _BEHIND.fullmatch(file[len(name) :]) is not None


def delete_line(file: str) -> str:
    """Returns the line that deletes one file of a capture of ours. Raises InvalidArgument."""
    checked = _checked("file", file, _FILE, "expected a file of one of our captures")
    return f"file delete activelog {_FOLDER}/{checked} noconfirm"
