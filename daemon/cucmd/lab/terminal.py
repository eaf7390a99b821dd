"""One terminal of a simulated node, on an SSH channel: echo, questions, the pager, Ctrl-C.

A key is echoed when it is read. Ctrl-C has its effect when it arrives, whatever runs. A frozen
terminal ignores both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from cucmd.lab import texts
from cucmd.lab.editor import Echo, LineEditor

INTERRUPT = b"\x03"
# Bytes that were typed but not read yet. The queue of a tty holds 4096.
_TYPE_AHEAD = 64 * 1024
_USUAL_ROWS = 24  # of a client that does not tell how many it has


class Channel(Protocol):
    """The part of an SSH channel that is used here."""

    def write(self, data: bytes, datatype: Any = None) -> None: ...
    def is_closing(self) -> bool: ...


class InputClosed(Exception):
    """A key was waited for, and the client has said that none will come."""


class Terminal:
    """`on_interrupt` is called when Ctrl-C arrives. What was typed before it is dropped."""

    def __init__(self, channel: Channel, on_interrupt: Callable[[], None]) -> None:
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
        self._rows = _USUAL_ROWS

    def resize(self, rows: int) -> None:
        """The client's window has so many rows; 0: it has not told."""
        self._rows = rows or _USUAL_ROWS

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
        """The client does not read: `drain` waits."""
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
        editor = LineEditor(echo if self.echo else Echo.NONE)
        while editor.line is None:
            shown = editor.key(await self.read_key())
            if shown:
                self.write(shown)
        return editor.line

    async def lines(self, lines: Sequence[str]) -> None:
        """Prints lines without a pager."""
        for line in lines:
            self.line(line)
            await self.drain()

    async def page(self, lines: Sequence[str]) -> None:
        """Prints lines, with the pager's question after each page unless it is turned off."""
        lines_left = self._page
        for line in lines:
            if self.paging and lines_left == 0:
                lines_left = await self.more()
                if lines_left == 0:
                    return
            self.line(line)
            lines_left -= 1
            await self.drain()

    @property
    def _page(self) -> int:
        """Lines of a page: the pager's question takes the last row."""
        return max(1, self._rows - 1)

    async def more(self) -> int:
        """How many lines the key at the pager asks for."""
        self.write(texts.PAGER)
        while (key := await self.read_key()) not in b" \r\nq":
            pass
        self.write(texts.PAGER_GONE)
        return {ord(" "): self._page, ord("q"): 0}.get(key, 1)


async def wait_forever() -> None:
    """Returns never; ends when it is cancelled."""
    await asyncio.get_running_loop().create_future()
