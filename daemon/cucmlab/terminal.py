"""Simulates one terminal of a node, on an SSH channel: echo, questions, the pager, Ctrl-C.

A key is echoed when it is read, on its own, because a node sends every character in its own packet
(vos/NODES.md, section 2). Ctrl-C has its effect when it arrives, whatever runs. A frozen terminal
ignores both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Protocol

from cucmlab import texts

INTERRUPT = b"\x03"
# Bytes that were typed but not read yet. The queue of a tty holds 4096.
_TYPE_AHEAD = 64 * 1024
_PAGE = 23  # lines; whether a terminal of other than 24 rows has others is unknown
_ENTER = b"\r\n"
_BACKSPACE = b"\b\x7f"
# A longer line is cut. The appliance's own limit is unknown; this one keeps memory bounded.
_LONGEST_LINE = 4096


class Echo(Enum):
    PLAIN = auto()
    STARS = auto()  # a password: one star a character
    NONE = auto()


class TerminalChannel(Protocol):
    """Is the part of an SSH channel that is used here."""

    def write(self, data: bytes, datatype: Any = None) -> None: ...
    def is_closing(self) -> bool: ...


class InputClosed(Exception):
    """A key was waited for, and the client has said that none will come."""


class Terminal:
    """`on_interrupt` is called when Ctrl-C arrives. What was typed before it is dropped."""

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
        """Keys have come from the client."""
        if self.frozen:
            return
        if INTERRUPT in keys:
            keys = keys.rpartition(INTERRUPT)[2]
            self._keys.clear()
            self._on_interrupt()
        self._keys += keys[: _TYPE_AHEAD - len(self._keys)]
        self._arrived.set()

    def input_closed(self) -> None:
        """No more keys will come. What was typed is still read."""
        self._input_closed = True
        self._arrived.set()

    def pause(self) -> None:
        """Makes `drain` wait: the client does not read."""
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()

    def write(self, text: str | bytes) -> None:
        # The client may have closed already. Then the writer is about to be cancelled.
        if not self._channel.is_closing():
            self._channel.write(text.encode() if isinstance(text, str) else text)

    def line(self, text: str = "") -> None:
        self.write(text + "\r\n")

    async def drain(self) -> None:
        """Waits until the client reads again. Other tasks run meanwhile."""
        await asyncio.sleep(0)
        await self._writable.wait()

    async def read_key(self) -> int:
        """Raises InputClosed if no key is left and none will come."""
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
        """Prints lines, with the pager's question after each page unless it is turned off."""
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
        """Returns how many lines the key at the pager asks for."""
        self.write(texts.PAGER)
        while (key := await self.read_key()) not in b" \r\nq":
            pass
        self.write(texts.PAGER_GONE)
        return {ord(" "): _PAGE, ord("q"): 0}.get(key, 1)


async def wait_forever() -> None:
    """Returns never; ends when it is cancelled."""
    await asyncio.get_running_loop().create_future()
