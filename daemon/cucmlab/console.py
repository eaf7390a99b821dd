"""Serves one channel of a simulated node.

A channel with a terminal gets the command line. Any other channel gets one line of text. A request
for a shell, for a command or for a subsystem has the same effect, because the account of a node has
only one program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import asyncssh

from cucmlab import commands, texts
from cucmlab.faults import FaultKind, Step
from cucmlab.node import LabNode
from cucmlab.session import Interrupted, LabSession
from cucmlab.terminal import Echo, InputClosed, wait_forever

# Line of the greeting -> the share of the greeting's time that passes before this line, as observed
# on release 11.5 (vos/NODES.md, section 2).
_PACE = {0: 0.08, 1: 0.63, 3: 0.19, 7: 0.10}
# A function that starts a task of the node.
Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class NodeChannel(asyncssh.SSHServerSession[bytes]):
    """Serves a channel. `cut` ends the whole SSH connection without a disconnect message."""

    def __init__(self, node: LabNode, cut: Callable[[], None], start: Start) -> None:
        self._node = node
        self._cut = cut
        self._start = start
        self._terminal = False
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._session: LabSession | None = None
        self._running: asyncio.Task[None] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        self._node.count("sessions_now")

    def connection_lost(self, exc: Exception | None) -> None:
        self._node.count("sessions_now", -1)
        if self._running is not None:
            self._running.cancel()

    def pty_requested(
        self,
        term_type: str | None,
        term_size: tuple[int, int, int, int],
        term_modes: Mapping[int, int],
    ) -> bool:
        self._terminal = True
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        return True

    def session_started(self) -> None:
        assert self._channel is not None
        if not self._terminal:
            self._channel.write(f"{texts.STARTING_UP}\r\n\r\n".encode())
            self._channel.exit(1)
            return
        self._session = LabSession(self._node, self._channel, self._cut)
        self._running = self._start(self._run(self._session, self._channel))

    async def _run(self, session: LabSession, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        with suppress(InputClosed):
            await _command_line(session)
        if not channel.is_closing():
            channel.exit(0)

    def data_received(self, data: bytes, datatype: object) -> None:
        if self._session is not None:
            self._session.terminal.typed(data)

    def eof_received(self) -> bool:
        """Keeps the channel open, since commands that were typed earlier may still print."""
        if self._session is not None:
            self._session.terminal.input_closed()
        return True

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.terminal.pause()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.terminal.resume()


async def _command_line(session: LabSession) -> None:
    """Runs commands until `quit`. Raises InputClosed when the client has closed its input."""
    await _greet(session)
    await _first_prompt(session)
    terminal = session.terminal
    while True:
        try:
            words = (await session.in_foreground(terminal.read_line())).split()
            if words in (["quit"], ["exit"]):
                return
            if words:
                session.node.count("commands")
                await session.in_foreground(commands.execute(session, words))
        except Interrupted:
            terminal.line("^C")
        terminal.write(texts.PROMPT)


async def _greet(session: LabSession) -> None:
    options, terminal = session.node.options, session.terminal
    if options.logon_message:
        terminal.line(options.logon_message)
    terminal.line(texts.STARTING_UP)
    for i, line in enumerate(texts.GREETING):
        await asyncio.sleep(options.banner_delay * _PACE.get(i, 0))
        if i == len(texts.GREETING) // 2:
            await session.reach(Step.BANNER)
            if session.node.plan.take(FaultKind.ENDLESS_BANNER):
                await session.print_without_end(texts.DNS_UNREACHABLE + "\r\n")
        terminal.line(line)


async def _first_prompt(session: LabSession) -> None:
    plan, terminal = session.node.plan, session.terminal
    await session.reach(Step.PROMPT)
    if plan.take(FaultKind.NO_PROMPT):
        await wait_forever()
    if plan.take(FaultKind.LOGIN_QUESTION):
        await _refuse_without_new_password(session)
    if plan.take(FaultKind.NO_ECHO):
        terminal.echo = False
    terminal.write(texts.PROMPT)
    if plan.take(FaultKind.PROMPT_NO_ECHO):
        terminal.frozen = True


async def _refuse_without_new_password(session: LabSession) -> None:
    """Asks for the current password; cuts the connection after any answer, even an empty one."""
    terminal = session.terminal
    terminal.line(texts.PASSWORD_EXPIRED)
    terminal.write(texts.ASK_CURRENT_PASSWORD)
    await terminal.read_line(Echo.NONE)
    terminal.line()
    terminal.line(texts.PASSWORD_UNCHANGED)
    await terminal.drain()
    session.cut()
    await wait_forever()
