"""Runs one session on a node: a terminal, a task that Ctrl-C cancels, and the faults of steps.

Ctrl-C cancels the task in the foreground. The next prompt comes only after that task has ended.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from cucmlab import texts
from cucmlab.faults import FaultKind, Step
from cucmlab.node import LabNode
from cucmlab.terminal import Terminal, TerminalChannel, wait_forever

T = TypeVar("T")
# Texts that are printed without end. A prompt is printed as a line; the others have no line ends.
_ENDLESS = {
    FaultKind.PROMPT_STORM: texts.PROMPT + "\r\n",
    FaultKind.ENDLESS_LINE: "7:12:44.101 |AppInfo  |SIPTcp - wait_SdlReadRsp: ",
    FaultKind.ESCAPE_STORM: "\x1b[2J\x1b[31m\x1b]0;owned\x07\x1b[H\x1b[?25l\x1b[",
}
# Maps every byte to itself, and line ends to "@".
_NO_LINE_ENDS = bytes(0x40 if byte in b"\r\n" else byte for byte in range(256))


class Interrupted(Exception):
    """Raised when Ctrl-C has ended the task in the foreground."""


class BackToPrompt(Exception):
    """Raised to return to the prompt without a text."""


class LabSession:
    """Holds what the commands of one session use: the node, a terminal, and the faults of steps.

    cut          ends the whole SSH connection without a disconnect message
    interrupted  whether Ctrl-C came since the task in the foreground began
    """

    def __init__(self, node: LabNode, channel: TerminalChannel, cut: Callable[[], None]) -> None:
        self.node = node
        self.terminal = Terminal(channel, self._interrupt)
        self.cut = cut
        self.interrupted = False
        self._foreground: asyncio.Task[Any] | None = None
        self._is_interrupt_pending = False  # Ctrl-C came while no task was in the foreground

    def _interrupt(self) -> None:
        self.node.count("interrupts")
        if self.node.plan.take(FaultKind.IGNORE_CTRL_C):
            return
        self.interrupted = True
        if self._foreground is None or not self._foreground.cancel():
            self._is_interrupt_pending = True

    async def in_foreground(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` and returns its result. Raises Interrupted if Ctrl-C cancels it."""
        if self._is_interrupt_pending:
            self._is_interrupt_pending = False
            work.close()
            raise Interrupted
        self.interrupted = False
        task = asyncio.get_running_loop().create_task(work)
        self._foreground = task
        try:
            await asyncio.wait({task})
        finally:
            self._foreground = None
            if not task.done():  # the session itself is being cancelled
                task.cancel()
                await asyncio.wait({task})
            elif not task.cancelled():
                # If the session is cancelled at this moment, nobody else fetches the exception,
                # and asyncio would log an error.
                task.exception()
        if task.cancelled():
            raise Interrupted
        return task.result()

    # -- faults

    async def reach(self, step: Step) -> None:
        """Lets the faults of a step happen. The session calls this when it reaches that step."""
        plan = self.node.plan
        if plan.take(FaultKind.SILENT, step):
            await wait_forever()
        if plan.take(FaultKind.HANG, step):
            self.terminal.frozen = True
            await wait_forever()
        if plan.take(FaultKind.DROP, step):
            self.cut()
            await wait_forever()
        if plan.take(FaultKind.SILENT_RETURN, step):
            raise BackToPrompt
        for kind, text in _ENDLESS.items():
            if plan.take(kind, step):
                await self.print_without_end(text)
        if garbage := plan.take(FaultKind.GARBAGE, step):
            await self._garbage(int(garbage.number))

    async def _garbage(self, size: int) -> None:
        """Writes `size` random bytes as one long line, or never stops if `size` is 0."""
        left = size
        while left > 0 or not size:
            noise = os.urandom(min(left or 4096, 4096)).translate(_NO_LINE_ENDS)
            self.terminal.write(noise)
            left -= len(noise) if size else 0
            await self.terminal.drain()
        await wait_forever()

    async def print_without_end(self, text: str) -> None:
        while True:
            self.terminal.write(text * 32)
            await self.terminal.drain()
