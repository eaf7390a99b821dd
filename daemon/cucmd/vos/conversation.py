"""PURE. What a session can be in the middle of, except `file get`: one class for each.

The one rule: a conversation sees lines and segments, answers with events, and never touches the
screen, the session or another conversation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from cucmd.failure import Code, Failure, failure
from cucmd.vos import texts
from cucmd.vos.events import CommandDone, Event, Prompted, Send
from cucmd.vos.questions import PAGERS, Ask, Questions, without_pagers
from cucmd.vos.secrets import Secrets

KIB, MIB = 1024, 1024 * 1024
UNLIKE_A_NODE = "what is there does not answer as a CUCM node does; look at its transcript"
PAGER_KEYS = {Ask.PAGE: b" ", Ask.VIEW_PAGE: b"q"}


class Conversation:
    """The default: nothing is asked, nothing is kept, any silence at a prompt ends it."""

    # The most bytes that may come before it ends, so that a node cannot keep us for ever.
    budget: int = MIB
    what: str = "nothing"
    at_prompt: bool = False
    over: bool = False  # nothing can come any more
    echoed: bool = True  # our command was echoed, or there is none
    interrupted: bool = False  # Ctrl-C was sent

    def heard(self) -> list[Event]:
        """Some bytes came."""
        return []

    def segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        """The current segment has grown to `text`; from where on, and which it is: see `Screen`."""
        return []

    def line(self, text: str) -> list[Event]:
        """A line is finished."""
        return []

    def prompt(self) -> list[Event]:
        """The prompt is confirmed: the conversation is over."""
        return [Prompted()]

    def closed(self) -> Failure | None:
        """The node closed; why that is a failure, or None if it was expected."""
        return failure(Code.CONNECTION_LOST, f"the node closed the connection during {self.what}")

    def flooded(self) -> Failure:
        message = f"more than {self.budget // KIB} KiB came during {self.what}, and no end of it"
        return failure(Code.NOT_A_NODE, message, hint=UNLIKE_A_NODE)


class Login(Conversation):
    """From the open shell to the first prompt. A logon message can be long; 1 MiB is a book."""

    what = "login"

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._is_node = False
        self._last_line = ""

    def segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        if text.startswith(texts.STARTING_UP):
            self._is_node = True
        return []

    def line(self, text: str) -> list[Event]:
        if text.strip():
            self._last_line = self._secrets.mask(text.strip())[:200]
        return []

    def closed(self) -> Failure:
        if not self._last_line:
            return failure(Code.CONNECTION_LOST, "the node closed the connection before its prompt")
        code = Code.CONNECTION_LOST if self._is_node else Code.NOT_A_NODE
        return failure(code, f"closed before any prompt came; the last line: {self._last_line!r}")


class Ready(Conversation):
    """At the prompt. What still comes (a second prompt, a broadcast) is drained."""

    at_prompt = True
    what = "the wait at the prompt"


class Lost(Conversation):
    """A dialogue broke and the node is somewhere in it; only a new prompt helps."""

    what = "the wait for a prompt"
    budget = 16 * MIB

    def closed(self) -> Failure | None:
        return None  # the failure is known already


class Gone(Conversation):
    """`quit` was sent, or the connection is closed."""

    over = True
    what = "the end"

    def closed(self) -> Failure | None:
        return None

    def prompt(self) -> list[Event]:
        return []


class Command(Conversation):
    """A plain command, from its echo to the prompt; collects its lines, answers pagers."""

    budget = 16 * MIB  # a listing of 100,000 files is below 10
    MAX_LINES = 200_000  # an empty line costs more memory than its byte

    def __init__(self, text: str) -> None:
        self.what = f"`{text}`"
        self.echoed = False
        self._echo = "".join(text.split())
        self._lines: list[str] = []
        self._pager = Pager()

    def segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        return self._pager.segment(text, number, grown_from)

    def line(self, text: str) -> list[Event]:
        if not self.echoed and is_echo(text, self._echo):
            # Whatever came before the echo is not the command's: a prompt that came late.
            self.echoed = True
            self._lines.clear()
        elif len(self._lines) < self.MAX_LINES and (rest := without_pagers(text)) is not None:
            self._lines.append(rest)
        return []

    def prompt(self) -> list[Event]:
        return [CommandDone(trimmed(self._lines))]


class Pager:
    """Answers each pager once, with one key and no newline."""

    def __init__(self) -> None:
        self._questions = Questions(PAGERS)

    def segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        asked = self._questions.in_segment(text, number, grown_from)
        return [Send(key, key.decode()) for key in (PAGER_KEYS[one.ask] for one in asked)]


def is_echo(line: str, command: str) -> bool:
    """Is `line` the echo of `command`, both without blanks? A late prompt may stand before it."""
    return "".join(line.split()).endswith(command)


def trimmed(lines: Iterable[str]) -> tuple[str, ...]:
    """The lines without the empty ones at both ends."""
    kept = deque(line.rstrip() for line in lines)
    while kept and not kept[0]:
        kept.popleft()
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
