"""PURE. The commands of a packet capture: it itself, where its files are, and their removal.

`delete_line` is the only command of ours that changes anything on a node. It takes the name of a
file that only a capture of ours has, and no pattern.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import msgspec

from cucmd.job.capture import Capture
from cucmd.vos.arguments import InvalidArgument

MOST_PACKETS = 100_000  # in a file of the node (V)
MOST_BYTES = 65_535  # of a packet of IP

LOCATION = "activelog"
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


class CaptureCommand(msgspec.Struct, frozen=True):
    """What is typed on a node for one capture.

    `host`: an IPv4 address. `size`: bytes that are kept of a packet; None: all.
    """

    name: str
    interface: str = "eth0"
    host: str | None = None
    port: int | None = None
    count: int = MOST_PACKETS
    size: int | None = None

    @classmethod
    def of(cls, what: Capture, name: str) -> CaptureCommand:
        """That of a job, into a file of that name."""
        return cls(name, what.interface, what.host, what.port, what.count, what.size)

    def command_line(self) -> str:
        """The line to type. Raises InvalidArgument."""
        words = ["utils network capture", check_interface(self.interface)]
        words += ["file", check_name(self.name)]
        words += ["count", check_number("count", self.count, MOST_PACKETS)]
        size = "all" if self.size is None else check_number("size", self.size, MOST_BYTES)
        words += ["size", size]
        if self.port is not None:
            words += ["port", check_number("port", self.port, 65_535)]
        if self.host is not None:
            words += ["host ip", check_host(self.host)]
        return " ".join(words)


def check_name(name: str) -> str:
    """Returns it if a capture of ours has such a name. Raises InvalidArgument, as all of these."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument("name", name, "is not the name of a capture of ours")
    return name


def check_interface(name: str) -> str:
    if not _INTERFACE.fullmatch(name):
        raise InvalidArgument("interface", name, "expected a name such as eth0")
    return name


def check_host(address: str) -> str:
    """IPv4 alone: what the node takes for another address is not known."""
    try:
        return str(ipaddress.IPv4Address(address))
    except ValueError:
        raise InvalidArgument("host", address, "expected an IPv4 address") from None


def check_number(field: str, number: int, most: int) -> str:
    """The number as it is typed: from 1 to `most`."""
    if not 1 <= number <= most:
        raise InvalidArgument(field, str(number), f"expected a number from 1 to {most}")
    return str(number)


def without_options(lines: Iterable[str]) -> tuple[str, ...]:
    """What a node has said to a capture, without the options that it prints before it begins (V):
    `Executing command with options:` and lines of ` size=ALL  count=1000  interface=eth0`; and
    without the echo of Ctrl-C.
    """
    return tuple(line for line in lines if not _is_of_options(line))


def _is_of_options(line: str) -> bool:
    words = line.replace("^C", " ").split()
    return line.strip().startswith(_OPTIONS) or all(_OPTION.match(word) for word in words)


def capture_path(name: str) -> str:
    """Where the files of a capture are below LOCATION, as `file get` takes it."""
    return f"{_FOLDER}/{check_name(name)}*.cap*"


def is_file_of(file: str, name: str) -> bool:
    """Whether a file of the node can be one that the capture of that name has written."""
    return file.startswith(name) and _BEHIND.fullmatch(file[len(name) :]) is not None


def delete_line(file: str) -> str:
    """The line that removes one file of a capture of ours. Raises InvalidArgument."""
    if not _FILE.fullmatch(file):
        raise InvalidArgument("file", file, "is no file of a capture of ours")
    return f"file delete {LOCATION} {_FOLDER}/{file} noconfirm"
