"""What a simulated node has captured: the command's arguments, the captures, and their files.

A capture is one entry from its first packet to the removal of its file, and whether it runs is told
by `packets` alone. So a file that grows needs no task of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import msgspec

from cucmd.lab import texts
from cucmd.lab.faults import Kind
from cucmd.lab.selection import Refused
from cucmd.lab.traffic import HEADER, Traffic
from cucmd.lab.tree import VirtualFile

LOCATION, FOLDER = "activelog", "platform/cli"
MOST_PACKETS = 100_000
_LARGEST = 65535
_BLOCK = 32 * 1024
_ARITY = texts.WRONG_ARITY.format(mandatory=0, more=13)


class Wanted(msgspec.Struct, frozen=True):
    """A valid `utils network capture` into a file. The defaults are the node's own.

    size: bytes of a packet that are kept; None: all of it.
    """

    file: str
    interface: str = "eth0"
    count: int = 1000
    size: int | None = 128
    host: str | None = None
    port: int | None = None


def parse_capture(words: list[str]) -> Wanted:
    """Reads the arguments of `utils network capture`. Raises Refused.

    Not simulated are the form without `file`, which prints packets, and `src` and `dest`.
    """
    rest = list(words)
    given: dict[str, str | int | None] = {}
    if rest and rest[0].startswith("eth"):
        given["interface"] = rest.pop(0)
    while rest:
        name = rest.pop(0)
        if name == "host":
            rest = _without_protocol(rest)
        if name not in _VALUES or name in given or not rest:
            raise Refused(_ARITY, texts.UNSUCCESSFUL)
        given[name] = _VALUES[name](rest.pop(0))
    if "file" not in given:
        raise Refused(texts.NO_VALID_COMMAND)
    if given.get("interface", "eth0") != "eth0":
        raise Refused(f"Invalid interface: {given['interface']}", texts.UNSUCCESSFUL)
    return msgspec.convert(given, Wanted)


def _without_protocol(rest: list[str]) -> list[str]:
    if len(rest) < 2 or rest[0] not in ("ip", "arp", "rarp", "all"):
        raise Refused(_ARITY, texts.UNSUCCESSFUL)
    return rest[1:]


def _file(text: str) -> str:
    if "." in text or "/" in text:
        raise Refused(f"Invalid file name: {text}", texts.UNSUCCESSFUL)
    return text


def _within(name: str, most: int, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refused(f"Invalid {name}: {text}", texts.UNSUCCESSFUL)
    return int(text)


def _size(text: str) -> int | None:
    return None if text.lower() == "all" else _within("size", _LARGEST, text)


def _host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:  # a node takes names too; those of the lab have none
        raise Refused(f"Invalid host: {text}", texts.UNSUCCESSFUL) from None


_VALUES: dict[str, Callable[[str], str | int | None]] = {
    "file": _file,
    "count": lambda text: _within("count", MOST_PACKETS, text),
    "size": _size,
    "host": _host,
    "port": lambda text: _within("port", 65535, text),
}


class Capture:
    """One capture, and its file.

    packets  None while it runs; then how many there are
    fault    what is wrong with its file, if anything
    """

    def __init__(
        self, path: str, wanted: Wanted, traffic: Traffic, now: datetime, fault: Kind | None
    ) -> None:
        self.path = path
        self.packets: int | None = None
        self._wanted = wanted
        self._traffic = traffic
        self._fault = fault
        self._began = now
        self._since = time.monotonic()
        self._lasted = 0.0

    @property
    def seconds_to_its_end(self) -> float | None:
        """Seconds from its beginning until it has all packets that it may have; None: never."""
        return self._traffic.seconds_until(self._wanted.count)

    def end(self, *, full: bool = False) -> None:
        """It has ended. `full`: because it had all packets. The second time does nothing."""
        if self.packets is None:
            packets = self._wanted.count if full else self._so_far()
            self.packets, self._lasted = packets, self._seconds

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._since

    def _so_far(self) -> int:
        return min(self._traffic.count_within(self._seconds), self._wanted.count)

    def file(self, now: datetime) -> VirtualFile | None:
        """The file as it is now; None: there is none."""
        if self._fault is Kind.CAPTURE_NO_FILE:
            return None
        packets = self._so_far() if self.packets is None else self.packets
        size = HEADER if self._fault is Kind.CAPTURE_HEADER else self._traffic.bytes_of(packets)
        if self._fault is Kind.CAPTURE_CUT:
            size -= min(size, 7)
        lasted = self._seconds if self.packets is None else self._lasted
        modified = self._began + timedelta(seconds=lasted)
        return VirtualFile(self.path, size, (now - modified).total_seconds(), lasted)

    def blocks(self, size: int) -> Iterator[bytes]:
        """The first `size` bytes of the file, which it had when that was asked."""
        if self._fault is Kind.CAPTURE_GARBAGE:
            blocks = iter(lambda: os.urandom(_BLOCK), b"")
        else:
            # While it runs there may be more by now.
            packets = self._so_far() if self.packets is None else self.packets
            blocks = self._traffic.blocks(packets, self._began)
        while size > 0:
            block = next(blocks)[:size]
            size -= len(block)
            yield block


class Captures:
    """The captures of one node since the lab began, of which the files are still there."""

    def __init__(self, address: str, rate: float) -> None:
        """`rate`: packets on the node's network, a second."""
        self._address = address
        self._rate = rate
        self._all: dict[str, Capture] = {}

    def begin(self, wanted: Wanted, fault: Kind | None) -> Capture:
        """A capture that runs from now on, with a number behind its name if that was used."""
        number = ""
        while (path := f"{FOLDER}/{wanted.file}{number}.cap") in self._all:
            number = str(int(number or 0) + 1)
        size = wanted.size or _LARGEST
        traffic = Traffic(self._address, self._rate, wanted.host, wanted.port, size)
        self._all[path] = Capture(path, wanted, traffic, datetime.now(UTC), fault)
        return self._all[path]

    def files(self) -> list[VirtualFile]:
        now = datetime.now(UTC)
        found = (capture.file(now) for capture in self._all.values())
        return [file for file in found if file is not None]

    def get(self, path: str) -> Capture | None:
        return self._all.get(path)

    def remove(self, path: str) -> None:
        self._all.pop(path, None)
