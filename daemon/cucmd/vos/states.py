"""PURE. Holds the states of a node's command line, one class for each; file_get.py has one more.

A state gets lines and segments, and returns events. cli.py says which state follows which.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.vos import texts
from cucmd.vos.dialogue_events import (
    Broken,
    CommandDone,
    Event,
    Printed,
    Prompted,
    Send,
    Started,
    StoppedAtQuestion,
)
from cucmd.vos.questions import (
    PAGERS,
    QUIET_QUESTION,
    QuestionKind,
    Questions,
    is_command_question,
    is_login_question,
    is_secret_question,
    without_pagers,
)
from cucmd.vos.secrets import Secrets

KIB, MIB = 1024, 1024 * 1024
NOT_LIKE_A_NODE = "the host does not answer as a CUCM node does; look at the transcript"
MAX_SHOWN = 120  # characters of a question, in a message
MAX_LAST_LINE = 200  # characters
# Seconds of silence after which the last line of a command counts as a question. Usually the rest
# of a line comes within milliseconds. A mistake does little harm, since questions get no answer.
QUIET_ASKED = 5.0
PAGER_KEYS = {QuestionKind.PAGE: b" ", QuestionKind.VIEW_PAGE: b"q"}


class State:
    """Provides the defaults of all states. They ignore all input until a prompt is confirmed."""

    # The most bytes that may come in this state, so that a node cannot hold the session for ever.
    max_bytes: int = MIB
    description: str = "nothing"  # for messages
    at_prompt: bool = False
    ended: bool = False  # all input is ignored
    echoed: bool = True  # False until the node has echoed our command
    interrupted: bool = False  # Ctrl-C was sent
    may_print_prompt: bool = False  # output may look like a prompt, even after Ctrl-C
    is_at_question: bool = False  # the unfinished last line looks like a question
    # Seconds of silence after which such a line counts as a question.
    question_after: float = QUIET_ASKED

    @property
    def last_line(self) -> str:
        """Returns the last line of the node, masked, if it may explain why the node is silent."""
        return ""

    @property
    def output(self) -> tuple[str, ...]:
        """Returns the lines so far of the command that runs. They are not masked."""
        return ()

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        """Reads the current segment, which has grown to `text`. See `Screen` for the arguments."""
        return []

    def on_processed(self) -> list[Event]:
        """Called when all segments and lines of one piece of input have been read."""
        return []

    def on_line(self, text: str) -> list[Event]:
        """Reads a finished line."""
        return []

    def on_question(self) -> Event:
        """Returns the last event of a state that `is_at_question`."""
        raise NotImplementedError

    def on_prompt(self) -> list[Event]:
        """Returns the last events of the state: the prompt is confirmed."""
        return [Prompted()]

    def on_closed(self) -> list[Event]:
        """Returns the last events of the session: the connection is closed."""
        message = f"the node closed the connection during {self.description}"
        return [Broken(failure(Code.CONNECTION_LOST, message))]

    def too_much_output(self) -> Failure:
        """Returns the failure for more than `max_bytes` in this state."""
        message = f"more than {self.max_bytes // KIB} KiB came during {self.description}"
        return failure(Code.NOT_A_NODE, message, hint=NOT_LIKE_A_NODE)


class LoggingIn(State):
    """Waits from the open shell to the first prompt. No logon message has as much as 1 MiB."""

    description = "login"

    def __init__(self, secrets: Secrets, question_after: float) -> None:
        self._secrets = secrets
        self.question_after = question_after
        self._is_node = False
        self._last_line = ""  # the last finished line that is not empty
        self._segment = ""  # the unfinished line

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        if text.startswith(texts.STARTING_UP):
            self._is_node = True
        self._segment = text
        return []

    def on_line(self, text: str) -> list[Event]:
        self._segment = ""
        if text.strip():
            self._last_line = text.strip()
        return []

    @property
    def at_line_end(self) -> bool:
        """Says whether the last line is finished and does not ask for a secret."""
        return not self._segment.strip() and not is_secret_question(self._last_line)

    @property
    def is_at_question(self) -> bool:  # type: ignore[override]  # a property, since input changes it
        return is_login_question(self._segment)

    def on_question(self) -> Event:
        question = self._secrets.mask(self._segment.strip())[-MAX_SHOWN:]
        message = f"the login stopped at a question: {question!r}"
        return Broken(failure(Code.LOGIN_QUESTION, message))

    @property
    def last_line(self) -> str:
        return show_last_line(self._secrets, self._segment, self._last_line)

    def on_closed(self) -> list[Event]:
        foreign = self._last_line and not self._is_node
        code = Code.NOT_A_NODE if foreign else Code.CONNECTION_LOST
        message = "the node closed the connection before its prompt"
        if last := self.last_line:
            message += f"; the last line: {last!r}"
        return [Broken(failure(code, message))]


class AtPrompt(State):
    """Waits at the prompt. Ignores further output, such as a second prompt or a broadcast."""

    at_prompt = True
    description = "the wait at the prompt"


class AskedForPrompt(State):
    """Waits for the prompt after an empty line, which shows whether the last prompt was real."""

    description = "the wait for another prompt"


class Recovering(State):
    """Waits for a new prompt after a dialogue has failed in the middle."""

    description = "the wait for a prompt"
    max_bytes = 16 * MIB

    def on_closed(self) -> list[Event]:
        return []  # the failure of the dialogue was reported already


class SessionEnded(State):
    """Ignores everything: `quit` was sent, or the connection is closed."""

    ended = True
    description = "the end"

    def on_closed(self) -> list[Event]:
        return []


class RunningCommand(State):
    """Reads the answer to a command, from its echo to the prompt, and keeps its lines.

    Answers each pager once, with one key and no newline.
    """

    max_bytes = 16 * MIB  # a listing of 100,000 files has less than 10 MiB
    MAX_LINES = 200_000  # empty lines cost more memory than their bytes

    def __init__(self, text: str) -> None:
        self.description = f"`{text}`"
        self.echoed = False
        self._echo = "".join(text.split())
        self._lines: list[str] = []
        self._segment = ""  # the unfinished line
        self._pagers = Questions(PAGERS)

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        self._segment = text
        pagers = self._pagers.in_segment(text, number, grown_from)
        return [Send(key, key.decode()) for key in (PAGER_KEYS[pager.kind] for pager in pagers)]

    def on_line(self, text: str) -> list[Event]:
        self._segment = ""
        if not self.echoed and is_echo(text, self._echo):
            # Lines before the echo do not belong to this command: an earlier prompt came late.
            self.echoed = True
            self._lines.clear()
        elif len(self._lines) < self.MAX_LINES and (rest := without_pagers(text)) is not None:
            self._lines.append(rest)
        return []

    def on_prompt(self) -> list[Event]:
        return [CommandDone(trim_lines(self._lines))]


class RunningForm(RunningCommand):
    """Reads the output of a command of forms.py.

    If the node asks a question, stops reading and does not answer the question.
    """

    # All nodes may run such a command at the same time, and its lines are kept in memory.
    max_bytes = 4 * MIB

    def __init__(self, text: str, secrets: Secrets) -> None:
        super().__init__(text)
        self._secrets = secrets

    @property
    def is_at_question(self) -> bool:  # type: ignore[override]  # a property, since input changes it
        return self.echoed and is_command_question(without_pagers(self._segment) or "")

    @property
    def output(self) -> tuple[str, ...]:
        return trim_lines(self._lines)

    @property
    def last_line(self) -> str:
        return show_last_line(self._secrets, self._segment, next(reversed(self.output), ""))

    def on_question(self) -> Event:
        return StoppedAtQuestion(
            self.output, self._secrets.mask(self._segment.strip())[-MAX_SHOWN:]
        )

    def too_much_output(self) -> Failure:
        message = f"{self.description} printed more than {self.max_bytes // KIB} KiB"
        hint = "narrow the command; the transcript has the beginning of its output"
        return failure(Code.QUOTA_EXCEEDED, message, hint=hint)


class RunningPlain(RunningForm):
    """Reads the answer to a plain command, whose lines a parser reads.

    No known answer stops at a question. A line that only looks like one would fail the whole node,
    so the silence is as long as at a login, where a node may pause for more than 5 s.
    """

    question_after = QUIET_QUESTION
    max_bytes = RunningCommand.max_bytes
    too_much_output = RunningCommand.too_much_output


class RunningCapture(RunningForm):
    """Waits for the end of a packet capture, which is usually silent.

    A capture ends by itself only when it has its number of packets.
    """

    def on_line(self, text: str) -> list[Event]:
        before = self.echoed
        events = super().on_line(text)
        return [*events, Started()] if self.echoed and not before else events


class RunningTail(RunningCommand):
    """Reads the lines of a `file tail` until Ctrl-C. A line of a log is never a question."""

    max_bytes = sys.maxsize
    may_print_prompt = True

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        self._segment = text
        return []

    def on_line(self, text: str) -> list[Event]:
        self._segment = ""
        if not self.echoed:
            # Lines before the echo do not belong to this command: an earlier prompt came late.
            self.echoed = is_echo(text, self._echo)
            return [Started()] if self.echoed else []
        if self.interrupted:
            text = text.replace("^C", "")
            if text.strip() in ("", texts.INTERRUPTED, texts.PROMPT):
                return []
        self._lines.append(text)
        return []

    def on_processed(self) -> list[Event]:
        lines, self._lines = self._lines, []
        return [Printed(tuple(lines))] if lines else []

    def on_closed(self) -> list[Event]:
        unfinished = self.echoed and self._segment
        return [*([Printed((self._segment,))] if unfinished else []), *super().on_closed()]

    def on_prompt(self) -> list[Event]:
        return [*self.on_processed(), CommandDone(())]


def show_last_line(secrets: Secrets, unfinished: str, line: str) -> str:
    """Returns the unfinished line or else `line`, masked and shortened."""
    # A question is at the end of its line. The beginning of a finished line says most.
    return secrets.mask(unfinished.strip())[-MAX_LAST_LINE:] or secrets.mask(line)[:MAX_LAST_LINE]


def is_echo(line: str, command: str) -> bool:
    """Says whether `line` is the echo of `command`. Blanks in both are ignored.

    The line may begin with an earlier prompt that came late.
    """
    return "".join(line.split()).endswith(command)


def trim_lines(lines: Iterable[str]) -> tuple[str, ...]:
    """Returns the lines without empty lines at both ends, and without blanks at their ends."""
    kept = deque(line.rstrip() for line in lines)
    while kept and not kept[0]:
        kept.popleft()
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
