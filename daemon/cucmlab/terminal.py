"""Simulates one terminal of a node, on an SSH channel: echo, questions, the pager, Ctrl-C.

Each key is echoed on its own when it is read, because a node sends every character in a packet of
its own (vos/NODES.md, section 2). Ctrl-C has its effect as soon as it arrives, whatever runs. A
frozen terminal ignores keys and Ctrl-C.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Protocol

from cucmlab import texts

INTERRUPT = b"\x03"
# How many bytes may be typed before they are read. The queue of a real tty holds 4096.
_TYPE_AHEAD = 64 * 1024
# Lines of a page on a terminal with 24 rows. The number for other terminals is unknown.
_PAGE = 23
_ENTER = b"\r\n"
_BACKSPACE = b"\b\x7f"
# Longer lines are cut, to limit memory. The limit of a real appliance is unknown.
_LONGEST_LINE = 4096


class Echo(Enum):
    PLAIN = auto()
    STARS = auto()  # one star for each character of a password
    NONE = auto()


class TerminalChannel(Protocol):
    """Declares the part of an SSH channel that a terminal uses."""

    def write(self, data: bytes, datatype: Any = None) -> None: ...
    def is_closing(self) -> bool: ...


class InputClosed(Exception):
    """Raised if a key is needed, and the client has closed its input."""


class Terminal:
    """Holds a terminal. When Ctrl-C arrives, it drops unread keys and calls `on_interrupt`."""

    def __init__(self, channel: TerminalChannel, on_interrupt: Callable[[], None]) -> None:
        self._channel = channel
        self._on_interrupt = on_interrupt
        self._keys = bytearray()
        self._input_closed = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self.frozen = False
        self.echo = True
        self.paging = True

    def typed(self, keys: bytes) -> None:
        """Takes keys that the client has sent."""
        if self.frozen:
            return
        if INTERRUPT in keys:
            keys = keys.rpartition(INTERRUPT)[2]
            self._keys.clear()
            self._on_interrupt()
        self._keys += keys[: _TYPE_AHEAD - len(self._keys)]
        self._arrived.set()

    def input_closed(self) -> None:
        """Notes that the client has closed its input. Keys that came before are still read."""
        self._input_closed = True
        self._arrived.set()

    def pause(self) -> None:
        """Makes `drain` wait, because the client does not read."""
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()

    def write(self, text: str | bytes) -> None:
        # The client may have closed already. Then the task that writes is about to be cancelled.
        if not self._channel.is_closing():
            self._channel.write(text.encode() if isinstance(text, str) else text)

    def line(self, text: str = "") -> None:
        self.write(text + "\r\n")

    async def drain(self) -> None:
        """Waits until the client reads. Lets other tasks run in any case."""
        await asyncio.sleep(0)
        await self._writable.wait()

    async def read_key(self) -> int:
        """Returns the next key. Raises InputClosed if the client has closed its input."""
        while not self._keys:
            if self._input_closed and not self.frozen:
                raise InputClosed
            self._arrived.clear()
            await self._arrived.wait()
        return self._keys.pop(0)

    async def read_line(self, echo: Echo = Echo.PLAIN) -> str:
        echo = echo if self.echo else Echo.NONE
        typed = bytearray()
        while (key := await self.read_key()) not in _ENTER:
            shown = b""
            if key in _BACKSPACE:
                shown = b"\b \b" if typed else b""
                del typed[-1:]
            elif key >= 0x20 and len(typed) < _LONGEST_LINE:
                shown = b"*" if echo is Echo.STARS else bytes([key])
                typed.append(key)
            if shown and echo is not Echo.NONE:
                self.write(shown)
        if echo is not Echo.NONE:
            self.line()
        return typed.decode("utf-8", "replace")

    async def lines(self, lines: Sequence[str]) -> None:
        """Prints lines without a pager."""
        for line in lines:
            self.line(line)
            await self.drain()

    async def page(self, lines: Sequence[str]) -> None:
        """Prints lines, and asks after each page unless the pager is turned off."""
        lines_left = _PAGE
        for line in lines:
            if self.paging and lines_left == 0:
                lines_left = await self.more()
                if lines_left == 0:
                    return
            self.line(line)
            lines_left -= 1
            await self.drain()

    async def more(self) -> int:
        """Shows the question of the pager; returns how many lines the key asks for."""
        self.write(texts.PAGER)
        while (key := await self.read_key()) not in b" \r\nq":
            pass
        self.write(texts.PAGER_GONE)
        return {ord(" "): _PAGE, ord("q"): 0}.get(key, 1)


async def wait_forever() -> None:
    """Waits until it is cancelled."""
    await asyncio.get_running_loop().create_future()
