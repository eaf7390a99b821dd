"""PURE. Runs the command line of one node as a state machine: bytes go in, events and answers come
out.

`receive` never confirms a prompt. It notes that what has arrived ends in one. Then `quiet_after`
says how many seconds of silence confirm it, and the driver calls `quiet` after them.

How it works. Bytes become tokens of text, which go to whoever writes the transcript, and to the
screen, which gives finished lines and the growing segment (see `screen.py`). Both go to the state
that the machine is in, which gives events:

    state              entered by                       left by
    LoggingIn          the beginning                    a confirmed prompt, or a question
    AtPrompt           a confirmed prompt               `quit`, or what the next six name
    RunningCommand     `command`                        a confirmed prompt
    RunningForm        `run`, `delete_capture`          a confirmed prompt
    RunningCapture     `capture`                        a confirmed prompt
    RunningTail        `tail`                           a confirmed prompt
    FileGetDialogue    `file_get`                       a confirmed prompt
    AskedForPrompt     `ask_for_prompt`                 a confirmed prompt
    Recovering         a `Broken` or `StoppedAtQuestion` event      a confirmed prompt
    SessionEnded       `quit`, `closed`                 nothing

The prompt's text also occurs within output, and nothing in the bytes tells the two apart. So
silence, which only the driver can measure, is an input too. Only after Ctrl-C is the prompt
confirmed without it. A question at which a login stops is told from a banner that stops for a
while in the same way, by a longer silence; so is one in the middle of a command of forms.py.
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
    RunningCommand,
    RunningForm,
    RunningTail,
    SessionEnded,
    State,
)


class NotAtPrompt(Exception):
    """A command was given while the node was busy. That is a defect of the driver."""


class Cli:
    """Runs one node's command line. Memory is bounded whatever the node sends.

    heard: is given all that the node has sent as text, before it is judged. None: nobody listens.
    """

    def __init__(
        self, secrets: Iterable[str] = (), *, question_after: float = QUIET_QUESTION
    ) -> None:
        """No event shows one of `secrets`. The password of a receiver is added by `file_get`.

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
        """The prompt is confirmed: `command`, `run` and `file_get` may be called."""
        return self._state.at_prompt

    @property
    def quiet_after(self) -> float | None:
        """Returns the seconds of silence after which `quiet` must be called; None: it need not."""
        segment = self._screen.segment
        if self._idle:
            return None
        if not self._prompts.is_candidate(segment):
            return self._state.question_after if self._state.is_at_question else None
        if not self._state.echoed:
            return QUIET_UNECHOED
        if self._state.may_print_prompt and not self._prompts.is_known(segment):
            return None
        if self._state.may_print_prompt or not self._prompts.is_known(segment):
            return QUIET_UNKNOWN
        return QUIET_LOGIN if isinstance(self._state, LoggingIn) else QUIET_KNOWN

    @property
    def may_type_empty_line(self) -> bool:
        """Says whether the login stopped at the end of a line, where an empty line does no harm."""
        return isinstance(self._state, LoggingIn) and self._state.at_line_end

    @property
    def last_line(self) -> str:
        """Returns what the node said last in a login, `file get` or form, as it may be shown."""
        return self._state.last_line

    @property
    def output(self) -> tuple[str, ...]:
        """Returns what has come so far of the command that `run` began. Not masked."""
        return self._state.output

    @property
    def _idle(self) -> bool:
        return self._state.at_prompt or self._state.ended

    def mask(self, text: str) -> str:
        """Masks a text that the node sent in another way, such as an SSH banner, to be shown."""
        return self._secrets.mask(text)

    def receive(self, data: bytes) -> list[Event]:
        """Takes the next bytes from the node, and gives what they mean."""
        accepted, too_much = data[: self._bytes_left], data[self._bytes_left :]
        tokens = list(self._filter.feed(accepted))
        self._report_text(tokens)
        if self.on_text is not None:
            self._report_text(list(self._filter.feed(too_much)))
        if self._state.ended:
            return []
        events: list[Event] = []
        for line in self._screen.feed(tokens):
            events += self._process(line)
        events += self._state.on_processed()
        self._bytes_left -= len(accepted)
        if too_much and not isinstance(self._state, Recovering):
            events += self._recover_if_broken([Broken(self._state.too_much_output())])
        # After Ctrl-C no silence is needed: no output is expected that could contain a prompt, and
        # a node may take long to print the real one.
        if self._state.interrupted:
            ending = self._screen.ending.replace("^C", "")  # the echo of a second Ctrl-C
            known = not self._state.may_print_prompt or self._prompts.is_known(ending)
            if known and ends_in_prompt(ending):
                events += self._confirm()
        return events

    def _report_text(self, tokens: list[TerminalToken]) -> None:
        if tokens and self.on_text is not None:
            self.on_text(tokens)

    def _process(self, line: str | None) -> list[Event]:
        if line is None:
            screen = self._screen
            events = self._state.on_segment(
                screen.segment, screen.segment_number, screen.grown_from
            )
        else:
            events = self._state.on_line(line)
        return self._recover_if_broken(events)

    def _recover_if_broken(self, events: list[Event]) -> list[Event]:
        """Leaves the state if the dialogue has failed with these events, and returns them."""
        if events and isinstance(events[-1], Broken):
            self._begin(Recovering())
        return events

    def quiet(self) -> list[Event]:
        """The node has been silent for `quiet_after` seconds. Does nothing if that is None."""
        if self.quiet_after is None:
            return []
        if not self._prompts.is_candidate(self._screen.segment):
            asked = self._state.on_question()
            self._begin(Recovering())
            return [asked]
        return self._confirm()

    def _confirm(self) -> list[Event]:
        events = self._state.on_prompt()
        if not isinstance(self._state, FileGetDialogue):  # there words may stand before it
            self._prompts.learn(self._screen.segment)
        self._begin(AtPrompt())
        return events

    def empty_line(self) -> bytes:
        """Returns an empty line, for a node that prints its prompt only after one."""
        return encode_line("")

    # What is typed at the prompt. Each method gives the bytes to send. Raises NotAtPrompt, and
    # InvalidArgument for what must not be typed.

    def command(self, text: str) -> bytes:
        """Begins a plain command."""
        return self._start(check_command(text), RunningCommand(text))

    def run(self, command: Command) -> bytes:
        """Begins a command of forms.py."""
        line = parse_command(command.line).line  # whoever has made it
        return self._start(line, RunningForm(line, self._secrets))

    def capture(self, line: CaptureLine) -> bytes:
        """Begins a packet capture, which runs until `interrupt` as a rule.

        `Started` says when the node has taken it.
        """
        return self._start(line, RunningCapture(line, self._secrets))

    def tail(self, command: Command) -> bytes:
        """Begins a `file tail` of `parse_tail`, which prints until `interrupt` as a rule.

        `Started` says when the node has taken it, `Printed` what came of it, and `CommandDone` that
        it is over, without lines.
        """
        line = parse_tail(command.line).line  # whoever has made it
        return self._start(line, RunningTail(line))

    def ask_for_prompt(self) -> bytes:
        """Types an empty line.

        `Prompted` follows, unless it was output that looks like a prompt and the command still
        runs: as a rule that of a capture says nothing for long.
        """
        return self._start("", AskedForPrompt())

    def delete_capture(self, file: str) -> bytes:
        """Begins the removal of a file of a capture: our only command that changes a node."""
        line = delete_line(file)
        return self._start(line, RunningForm(line, self._secrets))

    def file_get(self, request: FileGet, receiver: ReceiverAddress | None) -> bytes:
        """Begins a `file get` that pushes to `receiver`; None: only the sizes are wanted."""
        if receiver is not None:
            receiver.check()
            self._secrets.add(receiver.password)
        dialogue = FileGetDialogue(request, receiver, self._secrets, self._prompts)
        return self._start(request.command_line(), dialogue)

    def decline(self, *, unanswered: bool) -> list[Event]:
        """Lets nothing of the running `file get` be pushed: its questions are answered `n`.

        unanswered: the last answer that `receive` gave was not sent. What is given takes its place.
        """
        if not isinstance(self._state, FileGetDialogue):
            return []
        return self._recover_if_broken(self._state.decline(unanswered=unanswered))

    def _start(self, line: str, state: State) -> bytes:
        if not self.at_prompt:
            raise NotAtPrompt(f"`{line}` during {self._state.description}")
        # The prompt that is on the screen is not the one after the command.
        self._screen.restart()
        self._begin(state)
        return encode_line(line)

    def interrupt(self) -> bytes:
        """Returns Ctrl-C. From now on no question is answered, and the next `admin:` counts at
        once.
        """
        if not self._idle:
            self._state.interrupted = True
        return b"\x03"

    def quit(self) -> bytes:
        """Ends the node's session. What still comes is ignored."""
        self._begin(SessionEnded())
        return encode_line(texts.QUIT)

    def closed(self) -> list[Event]:
        """The node closed its side, or the connection is gone."""
        self._report_text(list(self._filter.feed(b"", last=True)))
        events = self._state.on_closed()
        self._begin(SessionEnded())
        return events
