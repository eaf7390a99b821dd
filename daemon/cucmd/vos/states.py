"""PURE. Holds the states of a node's command line, except `file get`: one class for each.

A state is given lines and segments and gives events. It never touches the screen, the machine or
another state. `cli.py` says which state follows which.
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
    QuestionKind,
    Questions,
    is_command_question,
    is_login_question,
    is_secret_question,
    without_pagers,
)
from cucmd.vos.secrets import Secrets

KIB, MIB = 1024, 1024 * 1024
NOT_LIKE_A_NODE = "what is there does not answer as a CUCM node does; look at its transcript"
MAX_SHOWN = 120  # characters of a question, in a message
MAX_LAST_LINE = 200
# Seconds of silence after which a question of a command counts. None is typed into, so it does no
# harm that a line of output may be cut there: the next packet comes within milliseconds.
QUIET_ASKED = 5.0
PAGER_KEYS = {QuestionKind.PAGE: b" ", QuestionKind.VIEW_PAGE: b"q"}


class State:
    """Has what all states have. By itself it ignores what comes, until a prompt is confirmed."""

    # The most bytes that may come in it, so that a node cannot hold the session for ever.
    max_bytes: int = MIB
    description: str = "nothing"
    at_prompt: bool = False
    ended: bool = False  # what comes is ignored
    echoed: bool = True  # our command was echoed, or there is none
    interrupted: bool = False  # Ctrl-C was sent
    may_print_prompt: bool = False  # output may follow that looks like a prompt, after Ctrl-C too
    is_at_question: bool = False  # the last line is not finished, and looks like a question
    # Seconds of silence after which that counts. A login is asked for its own.
    question_after: float = QUIET_ASKED

    @property
    def last_line(self) -> str:
        """Returns what the node said last if that may tell why it is silent, as it may be shown."""
        return ""

    @property
    def output(self) -> tuple[str, ...]:
        """Returns the lines of a command that runs, so far. Not masked."""
        return ()

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        """The current segment has grown to `text`. See `Screen` for `number` and `grown_from`."""
        return []

    def on_processed(self) -> list[Event]:
        """All of the bytes were given to `segment` and `line`."""
        return []

    def on_line(self, text: str) -> list[Event]:
        """A line is finished."""
        return []

    def on_question(self) -> Event:
        """Says what the question means, after which the node has been silent: the state is left."""
        return Broken(
            failure(Code.COMMAND_REFUSED, f"the node asked a question in {self.description}")
        )

    def on_prompt(self) -> list[Event]:
        """The prompt is confirmed: the state is left."""
        return [Prompted()]

    def on_closed(self) -> list[Event]:
        """Returns the last events of the session: the connection is closed."""
        message = f"the node closed the connection during {self.description}"
        return [Broken(failure(Code.CONNECTION_LOST, message))]

    def too_much_output(self) -> Failure:
        message = f"more than {self.max_bytes // KIB} KiB came during {self.description}, and no end of it"
        return failure(Code.NOT_A_NODE, message, hint=NOT_LIKE_A_NODE)


class LoggingIn(State):
    """Leads from the open shell to the first prompt. 1 MiB is more than any logon message has."""

    description = "login"

    def __init__(self, secrets: Secrets, question_after: float) -> None:
        self._secrets = secrets
        self.question_after = question_after
        self._is_node = False
        self._last_line = ""  # the last that was finished and is not empty
        self._segment = ""  # the one after it

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
        """Nothing stands on the last line. False also after a line that asks for a secret."""
        return not self._segment.strip() and not is_secret_question(self._last_line)

    @property
    def is_at_question(self) -> bool:  # type: ignore[override]  # it depends on what has come
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
    """Waits at the prompt. What still comes (a second prompt, a broadcast) is ignored."""

    at_prompt = True
    description = "the wait at the prompt"


class AskedForPrompt(State):
    """An empty line was typed at what counts as the prompt. A real one comes again."""

    description = "the wait for another prompt"


class Recovering(State):
    """A dialogue has failed and the node is somewhere in it. Only a new prompt ends this."""

    description = "the wait for a prompt"
    max_bytes = 16 * MIB

    def on_closed(self) -> list[Event]:
        return []  # the failure of the dialogue was given already


class SessionEnded(State):
    """`quit` was sent, or the connection is closed."""

    ended = True
    description = "the end"

    def on_closed(self) -> list[Event]:
        return []

    def on_prompt(self) -> list[Event]:
        return []


class RunningCommand(State):
    """Reads the answer to a plain command, from its echo to the prompt. Keeps its lines.

    Answers each pager once, with one key and no newline.
    """

    max_bytes = 16 * MIB  # a listing of 100,000 files is below 10
    MAX_LINES = 200_000  # an empty line costs more memory than its byte

    def __init__(self, text: str) -> None:
        self.description = f"`{text}`"
        self.echoed = False
        self._echo = "".join(text.split())
        self._lines: list[str] = []
        self._segment = ""  # the one after them
        self._pagers = Questions(PAGERS)

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        self._segment = text
        asked = self._pagers.in_segment(text, number, grown_from)
        return [Send(key, key.decode()) for key in (PAGER_KEYS[one.kind] for one in asked)]

    def on_line(self, text: str) -> list[Event]:
        self._segment = ""
        if not self.echoed and is_echo(text, self._echo):
            # What came before the echo is not of this command: it is a prompt that came late.
            self.echoed = True
            self._lines.clear()
        elif len(self._lines) < self.MAX_LINES and (rest := without_pagers(text)) is not None:
            self._lines.append(rest)
        return []

    def on_prompt(self) -> list[Event]:
        return [CommandDone(trim_lines(self._lines))]


class RunningForm(RunningCommand):
    """Reads the answer to a command of forms.py, or of a capture. A question is not answered; it
    ends the command.
    """

    # All nodes may run one at once, and its lines are in memory.
    max_bytes = 4 * MIB

    def __init__(self, text: str, secrets: Secrets) -> None:
        super().__init__(text)
        self._secrets = secrets

    @property
    def is_at_question(self) -> bool:  # type: ignore[override]  # it depends on what has come
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
        message = f"more than {self.max_bytes // KIB} KiB came of {self.description}"
        hint = "narrow the command; the transcript has the beginning of what came"
        return failure(Code.QUOTA_EXCEEDED, message, hint=hint)


class RunningCapture(RunningForm):
    """Awaits a packet capture. It says nothing as a rule, and ends by itself only at its count."""

    def on_line(self, text: str) -> list[Event]:
        before = self.echoed
        events = super().on_line(text)
        return [*events, Started()] if self.echoed and not before else events


class RunningTail(RunningCommand):
    """Reads a `file tail`, from its echo until Ctrl-C. What its lines say is of a log, and no
    question.
    """

    max_bytes = sys.maxsize
    may_print_prompt = True

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        self._segment = text
        return []

    def on_line(self, text: str) -> list[Event]:
        self._segment = ""
        if not self.echoed:
            # What comes before the echo is a prompt that came late.
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
    """Masks what a node has said last, to be shown: its unfinished line, or the one before."""
    # A question stands at the end of its line, a finished line tells most at its beginning.
    return secrets.mask(unfinished.strip())[-MAX_LAST_LINE:] or secrets.mask(line)[:MAX_LAST_LINE]


def is_echo(line: str, command: str) -> bool:
    """Says whether `line` is the echo of `command`, both compared without blanks.

    A prompt that came late may stand before it on the line.
    """
    return "".join(line.split()).endswith(command)


def trim_lines(lines: Iterable[str]) -> tuple[str, ...]:
    """Returns the lines without the empty ones at both ends."""
    kept = deque(line.rstrip() for line in lines)
    while kept and not kept[0]:
        kept.popleft()
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
