"""PURE. Runs the command line of one node as a state machine.

The driver calls `receive` with the bytes of the node, and gets events. Bytes become tokens of text.
The tokens go to the transcript, and to the screen, which finds the finished lines and the segment
that still grows (see `screen.py`). The current state makes events of lines and segments:

    state              entered by                       left by
    LoggingIn          the beginning                    a confirmed prompt, or a question
    AtPrompt           a confirmed prompt               `quit`, or a method of the next six rows
    RunningPlain       `command`                        a confirmed prompt
    RunningForm        `run`, `delete_capture`          a confirmed prompt
    RunningCapture     `capture`                        a confirmed prompt
    RunningTail        `tail`                           a confirmed prompt
    FileGetDialogue    `file_get`                       a confirmed prompt
    AskedForPrompt     `ask_for_prompt`                 a confirmed prompt
    Recovering         a `Broken` or `StoppedAtQuestion` event      a confirmed prompt
    SessionEnded       `quit`, `closed`                 nothing

The text of the prompt also occurs within output, and the bytes of both are the same. So silence is
an input too, and only the driver can measure it. When the text that has arrived ends in a prompt,
`quiet_after` says how many seconds of silence confirm the prompt. The driver then calls `quiet`.
`receive` confirms a prompt only after Ctrl-C.

A login or a command may also stop at a question. A longer silence distinguishes a
question from a banner or a line of output that pauses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cucmd.vos import texts
from cucmd.vos.arguments import check_command, encode_line
from cucmd.vos.command_lines import CaptureLine, FileGet, ReceiverAddress, delete_line
from cucmd.vos.dialogue_events import Broken, Event
from cucmd.vos.file_get import FileGetDialogue
from cucmd.vos.forms import Command, parse_command, parse_tail
from cucmd.vos.questions import (
    QUIET_KNOWN,
    QUIET_LOGIN,
    QUIET_QUESTION,
    QUIET_UNECHOED,
    QUIET_UNKNOWN,
    Prompts,
    ends_in_prompt,
)
from cucmd.vos.screen import EscapeFilter, Screen, TerminalToken
from cucmd.vos.secrets import Secrets
from cucmd.vos.states import (
    AskedForPrompt,
    AtPrompt,
    LoggingIn,
    Recovering,
    RunningCapture,
    RunningForm,
    RunningPlain,
    RunningTail,
    SessionEnded,
    State,
)


class NotAtPrompt(Exception):
    """Reports a defect of the driver: a command while the node is not at its prompt."""


class Cli:
    """Runs the command line of one node, with bounded memory whatever the node sends.

    on_text: called with all text of the node, for the transcript, before events are made of it.
    """

    def __init__(
        self, secrets: Iterable[str] = (), *, question_after: float = QUIET_QUESTION
    ) -> None:
        """Starts at the beginning of a login.

        secrets: words that no event may show. `file_get` adds the password of its receiver.
        question_after: seconds of silence after which a login counts as stopped at a question.
        """
        self.on_text: Callable[[list[TerminalToken]], None] | None = None
        self._secrets = Secrets(secrets)
        self._filter = EscapeFilter()
        self._screen = Screen()
        self._prompts = Prompts()
        self._begin(LoggingIn(self._secrets, question_after))

    def _begin(self, state: State) -> None:
        self._state = state
        self._bytes_left = state.max_bytes

    @property
    def at_prompt(self) -> bool:
        """Says whether the prompt is confirmed, so that a command may be typed."""
        return self._state.at_prompt

    @property
    def quiet_after(self) -> float | None:
        """Returns the seconds of silence after which to call `quiet`, or None to wait for bytes."""
        segment = self._screen.segment
        if self._idle:
            return None
        if not self._prompts.is_candidate(segment):
            return self._state.question_after if self._state.is_at_question else None
        if not self._state.echoed:
            return QUIET_UNECHOED
        if self._state.may_print_prompt and not self._prompts.is_known(segment):
            return None  # a line of a log that ends in `admin:`
        if self._state.may_print_prompt or not self._prompts.is_known(segment):
            return QUIET_UNKNOWN
        return QUIET_LOGIN if isinstance(self._state, LoggingIn) else QUIET_KNOWN

    @property
    def may_type_empty_line(self) -> bool:
        """Says whether the login stopped after a finished line, so Enter answers no question."""
        return isinstance(self._state, LoggingIn) and self._state.at_line_end

    @property
    def last_line(self) -> str:
        """Returns the last line of a login, `file get` or form, masked, or "" in other states."""
        return self._state.last_line

    @property
    def output(self) -> tuple[str, ...]:
        """Returns the lines so far of the command that `run` began. They are not masked."""
        return self._state.output

    @property
    def _idle(self) -> bool:
        return self._state.at_prompt or self._state.ended

    def mask(self, text: str) -> str:
        """Returns `text` without secrets. This is for text outside the terminal, such as an SSH
        banner.
        """
        return self._secrets.mask(text)

    def receive(self, data: bytes) -> list[Event]:
        """Reads the next bytes of the node. Returns the resulting events."""
        accepted, too_much = data[: self._bytes_left], data[self._bytes_left :]
        tokens = list(self._filter.feed(accepted))
        self._report_text(tokens)
        if self.on_text is not None:
            self._report_text(list(self._filter.feed(too_much)))
        if self._state.ended:
            return []
        events: list[Event] = []
        screen = self._screen
        for line in screen.feed(tokens):
            if line is None:
                segment = screen.segment, screen.segment_number, screen.grown_from
                events += self._recover_if_broken(self._state.on_segment(*segment))
            else:
                events += self._recover_if_broken(self._state.on_line(line))
        events += self._state.on_processed()
        self._bytes_left -= len(accepted)
        if too_much and not isinstance(self._state, Recovering):
            events += self._recover_if_broken([Broken(self._state.too_much_output())])
        # After Ctrl-C no output is expected that could contain the prompt's text, so the prompt is
        # confirmed without a silence.
        if self._state.interrupted:
            ending = self._screen.ending.replace("^C", "")  # a second Ctrl-C is echoed there
            known = not self._state.may_print_prompt or self._prompts.is_known(ending)
            if known and ends_in_prompt(ending):
                events += self._confirm()
        return events

    def _report_text(self, tokens: list[TerminalToken]) -> None:
        if tokens and self.on_text is not None:
            self.on_text(tokens)

    def _recover_if_broken(self, events: list[Event]) -> list[Event]:
        """Returns the events. Leaves the current state if the last of them is `Broken`."""
        if events and isinstance(events[-1], Broken):
            self._begin(Recovering())
        return events

    def quiet(self) -> list[Event]:
        """Reports that the node was silent for `quiet_after` seconds. Returns the resulting events.

        Does nothing if `quiet_after` is None.
        """
        if self.quiet_after is None:
            return []
        if not self._prompts.is_candidate(self._screen.segment):
            asked = self._state.on_question()
            self._begin(Recovering())
            return [asked]
        return self._confirm()

    def _confirm(self) -> list[Event]:
        events = self._state.on_prompt()
        # In a `file get` the line of the prompt may begin with other words, which are no form of
        # the prompt.
        if not isinstance(self._state, FileGetDialogue):
            self._prompts.learn(self._screen.segment)
        self._begin(AtPrompt())
        return events

    def empty_line(self) -> bytes:
        """Returns an empty line, for a node that prints its prompt only after Enter."""
        return encode_line("")

    # The following methods begin a command and return the bytes to send. Each raises NotAtPrompt,
    # or InvalidArgument for a line that must not be typed.

    def command(self, text: str) -> bytes:
        """Begins a plain command, whose answer is read here and not kept."""
        return self._start(check_command(text), RunningPlain(text, self._secrets))

    def run(self, command: Command) -> bytes:
        """Begins a command of forms.py."""
        line = parse_command(command.line).line  # anybody can make a `Command`, so check it
        return self._start(line, RunningForm(line, self._secrets))

    def capture(self, line: CaptureLine) -> bytes:
        """Begins a packet capture, which usually runs until `interrupt`.

        `Started` says when the node has read the line.
        """
        return self._start(line, RunningCapture(line, self._secrets))

    def tail(self, command: Command) -> bytes:
        """Begins a `file tail` of `parse_tail`, which usually prints until `interrupt`.

        `Started` says when the node has read the line. `Printed` has the lines, and the final
        `CommandDone` has none.
        """
        line = parse_tail(command.line).line  # anybody can make a `Command`, so check it
        return self._start(line, RunningTail(line))

    def ask_for_prompt(self) -> bytes:
        """Begins an empty line, to test whether the confirmed prompt is real.

        A real prompt is printed again, and `Prompted` follows. If the supposed prompt was output of
        a command that still runs, no event follows, because the command may be silent for a long
        time. A capture is such a command.
        """
        return self._start("", AskedForPrompt())

    def delete_capture(self, file: str) -> bytes:
        """Begins the deletion of a capture's file, our only command that changes a node."""
        line = delete_line(file)
        return self._start(line, RunningForm(line, self._secrets))

    def file_get(self, request: FileGet, receiver: ReceiverAddress | None) -> bytes:
        """Begins a `file get` that pushes to `receiver`, or only asks for sizes if that is None."""
        if receiver is not None:
            receiver.check()
            self._secrets.add(receiver.password)
        dialogue = FileGetDialogue(request, receiver, self._secrets, self._prompts)
        return self._start(request.command_line(), dialogue)

    def decline(self, *, unanswered: bool) -> list[Event]:
        """Stops the running `file get` from pushing files: questions are answered `n` from now on.

        unanswered: the last answer that `receive` returned was not sent. The returned events then
            replace that answer.
        """
        if not isinstance(self._state, FileGetDialogue):
            return []
        return self._recover_if_broken(self._state.decline(unanswered=unanswered))

    def _start(self, line: str, state: State) -> bytes:
        if not self.at_prompt:
            raise NotAtPrompt(f"`{line}` during {self._state.description}")
        # The prompt that is on the screen now is not the prompt after the command.
        self._screen.restart()
        self._begin(state)
        return encode_line(line)

    def interrupt(self) -> bytes:
        """Returns Ctrl-C. From now on no question is answered, and a prompt needs no silence."""
        if not self._idle:
            self._state.interrupted = True
        return b"\x03"

    def quit(self) -> bytes:
        """Returns the line that ends the session. What the node still sends is ignored."""
        self._begin(SessionEnded())
        return encode_line(texts.QUIT)

    def closed(self) -> list[Event]:
        """Reports that the connection is closed. Returns the last events."""
        self._report_text(list(self._filter.feed(b"", last=True)))
        events = self._state.on_closed()
        self._begin(SessionEnded())
        return events
