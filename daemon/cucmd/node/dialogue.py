"""A node's shell driven by the vos machine: bytes in, events out, answers sent, all of it noted.

The one rule: every byte that is heard or said passes through here, into the transcript too.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import Protocol

import trio

from cucmd.failure import Code, Failure, NodeFailed, fail
from cucmd.node.pace import PIECE, Pace
from cucmd.node.ports import Shell
from cucmd.node.transcript_file import TranscriptFile
from cucmd.vos import Broken, Event, FileGet, Prompted, ReceiverAddress, Send, Session

# Some shells print their prompt only after a newline (vos/NODES.md, section 2).
NUDGE_AFTER = 5.0


class Patience(Protocol):
    """How long to wait for the node: asked again each time something happens."""

    def deadline(self) -> float: ...
    def failure(self) -> Failure: ...


class Conversation:
    """One session on one node, from the open shell to its end."""

    def __init__(self, shell: Shell, transcript: TranscriptFile, session: Session) -> None:
        self.shell = shell
        self._session = session
        self._transcript = transcript
        self._events: deque[Event] = deque()
        self._pace = Pace()
        self._unread = b""
        self._ended = False
        self.greeted = False

    @property
    def busy(self) -> bool:
        """A command runs: the node is not at its prompt."""
        return self.greeted and not self._session.at_prompt

    async def first_prompt(self) -> None:
        """Waits through banner and messages. Raises `NodeFailed` (not_a_node, connection_lost)."""
        while True:
            match await self._next_or_nudge():
                case Prompted():
                    self.greeted = True
                    return
                case Broken(failure=broken):
                    raise NodeFailed(broken)

    async def _next_or_nudge(self) -> Event | None:
        ends = trio.current_time() + NUDGE_AFTER
        while trio.current_time() < ends:
            event = await self._step(ends)
            if event is not None:
                return event
        await self._say(self._session.nudge(), "")
        return None

    async def command(self, text: str) -> None:
        await self._say(self._session.command(text), text)

    async def file_get(self, request: FileGet, receiver: ReceiverAddress) -> None:
        self._transcript.add_secret(receiver.password)
        await self._say(self._session.file_get(request, receiver), request.command_line())

    async def next(self, patience: Patience | None = None) -> Event:
        """The next event that needs a decision. Raises `NodeFailed` when patience runs out.

        Cancelled, it loses nothing that was heard: it stays queued, and can be asked for again.
        """
        while True:
            event = await self._step(patience.deadline() if patience else math.inf)
            if event is not None:
                return event
            # Asked again: the deadline of a transfer moves on as its bytes do.
            if patience and not self._events and trio.current_time() >= patience.deadline():
                raise NodeFailed(patience.failure())

    async def _step(self, ends: float) -> Event | None:
        """The next event that needs a decision, or None: one answer was given, or it is late."""
        if not self._events:
            if self._ended:
                raise fail(Code.CONNECTION_LOST, "the node has closed the connection")
            await self._hear(ends)
        event = self._events.popleft() if self._events else None
        if not isinstance(event, Send):
            return event
        await self._say(event.data, event.shown)
        return None

    async def _hear(self, ends: float) -> None:
        """Waits for the next bytes, for a convincing silence, or until it is late."""
        with trio.move_on_at(ends):
            await self._pace.wait()  # apart from the silence below: it is ours, not the node's
        quiet = self._session.quiet_after
        settled = math.inf if quiet is None else trio.current_time() + quiet
        data: bytes | None = None
        with trio.move_on_at(min(settled, ends)):
            data = await self._receive()
        if data is not None:
            self._take(data)
        elif trio.current_time() >= settled:
            self._events.extend(self._session.quiet())

    async def _receive(self) -> bytes:
        """A piece of what came, small enough that the other nodes have their turn in between."""
        if self._unread:
            await trio.lowlevel.checkpoint()
        else:
            self._unread = await self.shell.receive()
        piece, self._unread = self._unread[:PIECE], self._unread[PIECE:]
        self._pace.take(len(piece))
        return piece

    def _take(self, data: bytes) -> None:
        if data:
            self._transcript.heard(data)
            self._events.extend(self._session.receive(data))
        else:
            self._ended = True
            self._events.extend(self._session.closed())

    async def _say(self, data: bytes, shown: str) -> None:
        self._transcript.said(shown)
        await self.shell.send(data)

    async def part(self) -> None:
        """Stops what the node is doing for us (Ctrl-C), then says goodbye, as a person would.

        The caller bounds it: a node that hangs answers nothing.
        """
        if not self.greeted or self._ended:
            return
        if self.busy:
            await self._interrupt()
        await self._say(self._session.quit(), "quit")
        while not self._ended:
            await self._pace.wait()
            self._take(await self._receive())

    async def _interrupt(self) -> None:
        """Ctrl-C, until the prompt is back. It may need a second one, or a newline to show
        itself (vos/NODES.md, section 6.5).
        """
        for nudges in itertools.cycle((False, False, True)):
            if nudges:
                await self._say(self._session.nudge(), "")
            else:
                await self._say(self._session.interrupt(), "^C")
            with trio.move_on_after(1.0):
                while not self._ended and not self._session.at_prompt:
                    await self._pace.wait()
                    self._take(await self._receive())
                return


async def hang_up(conversation: Conversation, grace: float) -> None:
    """Ends the session and the connection within `grace` seconds, whatever the node does.

    Half of the time goes to the words, the rest to SSH's own goodbye; then the transport is cut.
    """
    try:
        with trio.move_on_after(grace / 2, shield=True):
            await conversation.part()
    except NodeFailed:
        pass  # it is gone already, which is all that was wanted
    finally:
        with trio.move_on_after(grace / 2, shield=True):
            await conversation.shell.aclose()
