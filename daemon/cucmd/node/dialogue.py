"""Runs a session on one node: bytes of its shell come in, events go out, answers go back.

The parts

- `Shell` (see `ports.py`) is the channel over SSH. It receives and sends bytes.
- `vos.Cli` is the node's command line as a state machine without I/O. It gets bytes and returns
  events. It also says how long the node must be silent before `admin:` counts as its prompt,
  because only silence tells a prompt from the same text within output.
- `TranscriptFile` writes down what both sides sent.
- `NodeSession`, in this file, connects the three. `session_start.py` makes it and waits for the
  first prompt. Then a file in `work/` gives commands and reads their events. Only one task at a
  time may use a session.

What happens, in order

    login       `wait_for_prompt` returns at the first prompt. After each 5 s of silence it sends an
                empty line, since some shells print their prompt only then. It does so only if the
                last line is finished: nothing may be typed into a question. A line that looks like
                a question ends the login.
    at prompt   `command`, `run`, `file_get`, `capture`, `tail`, `delete_capture` or
                `ask_for_prompt` sends one line. They may be called only here.
    command     Each call of `next_event` returns one event. Bytes are read only while a caller
                waits in `next_event`.
    questions   The node shows a pager, or asks yes or no, or asks where the receiver is. `vos.Cli`
                returns a `Send` event with the answer, and this file sends it. The caller of
                `next_event` sees only events that need a decision.
    transfer    `file get` only. The files go to the receiver over another connection, which the
                node opens. In this session the node prints dots, or nothing.
    at prompt   The last event of a command is `CommandDone`, `FileGetDone`, `NothingMatched`,
                `Declined`, `StoppedAtQuestion` or `Broken`. After the last two another command may
                be sent only if `busy` is False. `interrupt` may bring the prompt back.
    end         `close_session`, see below.

Deadlines and cancellation

`next_event` takes a clock and asks for its deadline before each read, since each byte extends the
deadline of a transfer. If the deadline expires, `next_event` raises `NodeFailed`. The caller limits
the time of the login.

The task may be cancelled at any await: by a cancel of the job or the node, by a deadline of either,
or by a stop of the daemon. Events that were not read stay queued. `close_session` still ends the
session: `session_start.py` puts it on the exit stack before the first byte is read.

The transcript

Received text goes into the transcript before `vos.Cli` makes events of it, and our own lines before
they are sent. So the transcript contains whatever a failure quotes. Secrets are masked; the
receiver's password is added to them before the line of `file get` is sent. A thread writes to the
disk a moment later (`file_writer.py`), and a session waits for the disk only at its end.

Closing, within the caller's grace, always in this order

1. `leave`, for at most half of the grace period. If a command runs, it sends Ctrl-C until the
   prompt is back, so that the node stops its own transfer. Then it sends `quit`, and reads until
   the node closes. It does nothing if the first prompt never came, or if the node has closed.
2. `Shell.aclose`, for at most the other half: end of input, SSH disconnect, wait for the close.
   When the time is over, it aborts the connection.

Both are shielded from the cancel that caused them. If files may still come in, their upload target
is revoked first: it was put on the exit stack later.
"""

from __future__ import annotations

import itertools
import math
from collections import deque

import trio

from cucmd.failure import Code, NodeFailed, fail
from cucmd.node.deadlines import CommandClock, LineClock, with_last_line
from cucmd.node.ports import Shell
from cucmd.node.transcript_file import TranscriptFile
from cucmd.vos.cli import Cli
from cucmd.vos.command_lines import CaptureLine, FileGet, ReceiverAddress, delete_line
from cucmd.vos.dialogue_events import Broken, CommandDone, Event, Printed, Prompted, Send
from cucmd.vos.forms import Command

# Seconds of silence before an empty line, which some shells need (vos/NODES.md, section 2).
EMPTY_LINE_AFTER = 5.0

# Seconds between two Ctrl-C, or Ctrl-C and an empty line (vos/NODES.md, section 6.5).
INTERRUPT_AGAIN_AFTER = 1.0

# All nodes share one event loop, which needs up to 3 us for each byte of a dialogue. A real
# dialogue has a few KB, and the names of 10,000 files have about 1 MB.
BURST = 1024 * 1024  # bytes
RATE = 128 * 1024  # bytes a second, beyond the burst
PIECE = 8 * 1024  # bytes that are processed before the other nodes get their turn


class NodeSession:
    """Runs one session on one node, from the open shell to its end; see the top of this file."""

    def __init__(self, shell: Shell, transcript: TranscriptFile, cli: Cli) -> None:
        self.shell = shell
        self._cli = cli
        cli.on_text = transcript.received
        self._transcript = transcript
        self._events: deque[Event] = deque()
        self._rate_limit = RateLimit()
        self._unread = b""
        self._ended = False
        self.last_heard = trio.current_time()
        self.logged_in = False

    @property
    def busy(self) -> bool:
        """Says whether a command runs, so that the node is not at its prompt."""
        return self.logged_in and not self._cli.at_prompt

    @property
    def seems_done(self) -> bool:
        """Says whether the output of a command ends in text that may be the prompt."""
        return self.busy and not self._ended and self._cli.quiet_after is not None

    async def wait_for_prompt(self) -> None:
        """Reads banner and messages up to the first prompt.

        Sends an empty line after each silence, but not after an unfinished line, which may be a
        question for a password. Raises `NodeFailed` (not_a_node, login_question, connection_lost).
        """
        since = trio.current_time()
        while True:
            may_type = self._cli.may_type_empty_line
            ends = max(since, self.last_heard) + EMPTY_LINE_AFTER if may_type else math.inf
            match await self._step(ends):
                case Prompted():
                    self.logged_in = True
                    return
                case Broken(failure=broken):
                    raise NodeFailed(broken)
            if trio.current_time() >= ends:
                if await self._is_silent():
                    await self._send(self._cli.empty_line(), "")
                since = trio.current_time()

    # Each of these methods sends one line. They raise `InvalidArgument` for a line that must not be
    # typed, and `NodeFailed` (connection_lost).

    async def command(self, text: str) -> None:
        """Sends a plain command."""
        await self._send(self._cli.command(text), text)

    async def run(self, command: Command) -> None:
        """Sends a command of `vos/forms.py`."""
        await self._send(self._cli.run(command), command.line)

    async def capture(self, line: CaptureLine) -> None:
        """Begins a packet capture."""
        await self._send(self._cli.capture(line), line)

    async def tail(self, command: Command) -> None:
        """Begins a `file tail`."""
        await self._send(self._cli.tail(command), command.line)

    async def ask_for_prompt(self) -> None:
        """Sends an empty line, after which `Prompted` comes if the node is at its prompt."""
        await self._send(self._cli.ask_for_prompt(), "")

    async def delete_capture(self, file: str) -> None:
        """Sends the removal of a file of a capture."""
        await self._send(self._cli.delete_capture(file), delete_line(file))

    async def file_get(self, request: FileGet, receiver: ReceiverAddress | None) -> None:
        """Sends a `file get`.

        receiver: answers the node's questions, or None if only the sizes are wanted.
        """
        # Before anything is sent, because the node may repeat the password as soon as it has it.
        if receiver is not None:
            self._transcript.add_secret(receiver.password)
        await self._send(self._cli.file_get(request, receiver), request.command_line())

    @property
    def output(self) -> tuple[str, ...]:
        """Returns the lines so far of the command that `run` has sent. They are not masked."""
        return self._cli.output

    def decline(self) -> None:
        """Stops the running `file get` from pushing files: questions are answered `n` from now on.

        An answer that was not sent yet is replaced.
        """
        others = [event for event in self._events if not isinstance(event, Send)]
        unanswered = len(others) < len(self._events)
        self._events = deque([*others, *self._cli.decline(unanswered=unanswered)])

    async def next_event(self, clock: LineClock | CommandClock | None = None) -> Event:
        """Returns the next event that needs a decision.

        Raises `NodeFailed` with the clock's failure when its deadline has passed, or with
        connection_lost. A cancel loses no event: the next call returns it.
        """
        while True:
            event = await self._step(clock.deadline if clock else math.inf)
            if event is not None:
                return event
            # Each byte of a transfer extends the deadline, so ask the clock again.
            if clock and not self._events and trio.current_time() >= clock.deadline:
                expired = clock.failure
                if expired.code == Code.COMMAND_TIMEOUT:
                    # The node may have stopped at a question that `vos` does not recognise.
                    expired = with_last_line(expired, self._cli.last_line)
                raise NodeFailed(expired)

    async def _step(self, ends: float) -> Event | None:
        """Returns an event, or None if an answer was sent or the time `ends` has come."""
        if not self._events:
            if self._ended:
                raise fail(Code.CONNECTION_LOST, "the node has closed the connection")
            await self._read(ends)
        event = self._events.popleft() if self._events else None
        if not isinstance(event, Send):
            return event
        await self._send(event.data, event.shown)
        return None

    async def _read(self, ends: float) -> None:
        """Waits for the next bytes, for a silence that confirms a prompt, or until `ends`."""
        if self._rate_limit.reached:
            with trio.move_on_at(ends):
                await self._rate_limit.wait()  # outside of the silence that is measured below
        quiet = self._cli.quiet_after
        confirmed = math.inf if quiet is None else trio.current_time() + quiet
        # None if nothing came in time. That is not b"", which is the end of the connection.
        data: bytes | None = None
        with trio.move_on_at(min(confirmed, ends)):
            data = await self._receive()
        if data is not None:
            self._process(data)
        elif trio.current_time() >= confirmed and await self._is_silent():
            self._events.extend(self._cli.quiet())

    async def _is_silent(self) -> bool:
        """Says whether no unread bytes have come, as they may if the event loop was delayed."""
        await trio.lowlevel.checkpoint()
        return not (self._unread or self.shell.has_come)

    async def _receive(self) -> bytes:
        """Returns at most `PIECE` bytes, so that the other nodes get their turn in between."""
        if self._unread:
            await trio.lowlevel.checkpoint()
        else:
            self._unread = await self.shell.receive()
        piece, self._unread = self._unread[:PIECE], self._unread[PIECE:]
        self._rate_limit.count(len(piece))
        return piece

    def _process(self, data: bytes) -> None:
        self.last_heard = trio.current_time()
        if data:
            self._events.extend(self._cli.receive(data))
        else:
            self._ended = True
            self._events.extend(self._cli.closed())

    async def _send(self, data: bytes, shown: str) -> None:
        self._transcript.sent(shown)
        await self.shell.send(data)

    async def leave(self) -> None:
        """Ends the running command, sends `quit`, and reads until the node closes.

        The caller must limit the time, since a node that hangs never answers.
        """
        # Before the first prompt nothing may be typed, because it could answer a question for a
        # password. The end of the connection has to be enough then.
        if not self.logged_in or self._ended:
            return
        if self.busy:
            await self._interrupt()
        await self._send(self._cli.quit(), "quit")
        while not self._ended:
            await self._rate_limit.wait()
            self._process(await self._receive())

    async def interrupt(self) -> tuple[str, ...]:
        """Ends a command with Ctrl-C. Returns at the prompt, with the lines that were not read yet.

        There are no lines if the dialogue has failed or stopped at a question. The caller must
        limit the time. Raises `NodeFailed` (connection_lost).
        """
        await self._interrupt()
        if self._ended:
            raise fail(Code.CONNECTION_LOST, "the node closed the connection after Ctrl-C")
        return self.take_lines()

    def take_lines(self) -> tuple[str, ...]:
        """Removes all waiting events, and returns the lines in them."""
        events, self._events = self._events, deque()
        printed = (event.lines for event in events if isinstance(event, (CommandDone, Printed)))
        return tuple(itertools.chain.from_iterable(printed))

    async def _interrupt(self) -> None:
        """Sends Ctrl-C until the prompt is back, and every third time an empty line instead.

        Some states of a node need the empty line (vos/NODES.md, section 6.5).
        """
        for empty_line in itertools.cycle((False, False, True)):
            if empty_line:
                await self._send(self._cli.empty_line(), "")
            else:
                await self._send(self._cli.interrupt(), "^C")
            with trio.move_on_after(INTERRUPT_AGAIN_AFTER):
                while not self._ended and not self._cli.at_prompt:
                    await self._rate_limit.wait()
                    self._process(await self._receive())
                return


async def close_session(session: NodeSession, grace: float) -> None:
    """Ends the session and the connection within `grace` seconds, whatever the node does."""
    try:
        with trio.move_on_after(grace / 2, shield=True):
            await session.leave()
    except NodeFailed:
        pass  # the connection is gone already, as intended
    finally:
        with trio.move_on_after(grace / 2, shield=True):
            await session.shell.aclose()


class RateLimit:
    """Limits how fast a session reads, with a token bucket of `BURST` bytes that fills at `RATE`.

    So a node that prints without end does not take the other nodes' time.
    """

    def __init__(self) -> None:
        self._full_at = trio.current_time()

    def count(self, size: int) -> None:
        self._full_at = max(self._full_at, trio.current_time()) + size / RATE

    @property
    def reached(self) -> bool:
        """Says whether reading must wait."""
        return self._full_at - BURST / RATE > trio.current_time()

    async def wait(self) -> None:
        """Waits until more bytes may be read. Is not a checkpoint of trio if no wait is needed."""
        if self.reached:
            await trio.sleep_until(self._full_at - BURST / RATE)
