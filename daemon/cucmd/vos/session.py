"""PURE. One node's command line: bytes in, events and answers out; no clock, no I/O.

The one rule: `receive` never confirms a prompt. It notes that what has arrived ends in one, and
`quiet_after` says how many seconds of silence would be convincing; then the driver calls `quiet`.

Theory of operation. Bytes go through the screen, which gives lines and the growing segment; both
go to the conversation in progress (login, ready, a command, a `file get`, ...), which answers with
events. A confirmed prompt ends a conversation; the next one begins with `command`, `file_get` or
`quit`. The prompt's text also occurs within output, and nothing in the bytes tells one from the
other: that is why silence, which only the driver can measure, is an input. For the same reason
the same bytes give the same events, however they are split.
"""

from __future__ import annotations

from collections.abc import Iterable

from cucmd.vos import texts
from cucmd.vos.commands import FileGet, ReceiverAddress, check_command
from cucmd.vos.conversation import Command, Conversation, Gone, Login, Lost, Ready
from cucmd.vos.events import Broken, Event
from cucmd.vos.file_get import FileGetDialogue
from cucmd.vos.prompt import (
    QUIET_KNOWN,
    QUIET_LOGIN,
    QUIET_STRANGE,
    QUIET_UNECHOED,
    Prompts,
)
from cucmd.vos.screen import Screen
from cucmd.vos.secrets import Secrets


class NotAtPrompt(Exception):
    """A command was given while the node was busy; a defect of the driver, not of the node."""


class Session:
    """The state of one node's command line. Memory is bounded whatever the node sends."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """No event will show one of `secrets`; passwords of receivers join them by themselves."""
        self._secrets = Secrets(secrets)
        self._screen = Screen()
        self._prompts = Prompts()
        self._begin(Login(self._secrets))

    def _begin(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._budget = conversation.budget

    @property
    def at_prompt(self) -> bool:
        """The prompt is confirmed: `command` and `file_get` may be called."""
        return self._conversation.at_prompt

    @property
    def quiet_after(self) -> float | None:
        """Seconds of silence after which `quiet` must be called; None: no need."""
        segment = self._screen.segment
        if self._settled or not self._prompts.is_candidate(segment):
            return None
        if not self._conversation.echoed:
            return QUIET_UNECHOED
        if not self._prompts.is_known(segment):
            return QUIET_STRANGE
        return QUIET_LOGIN if isinstance(self._conversation, Login) else QUIET_KNOWN

    @property
    def _settled(self) -> bool:
        return self._conversation.at_prompt or self._conversation.over

    def mask(self, text: str) -> str:
        """What may be shown of something that the node says beside its command line."""
        return self._secrets.mask(text)

    def receive(self, data: bytes) -> list[Event]:
        """The next bytes from the node."""
        if self._conversation.over or not data:
            return []
        accepted = data[: self._budget]
        events = self._conversation.heard()
        for line in self._screen.feed(accepted):
            events += self._hear(line)
        self._budget -= len(accepted)
        if len(accepted) < len(data) and not isinstance(self._conversation, Lost):
            events += self._lose(Broken(self._conversation.flooded()))
        # After Ctrl-C a node can take long to get its prompt out, and no output is awaited that
        # could contain one.
        if self._conversation.interrupted and self._is_back():
            events += self._confirm()
        return events

    def _is_back(self) -> bool:
        """At the prompt after Ctrl-C; the echo of a second one may have come behind it."""
        return self._screen.ending.replace("^C", "").endswith(texts.PROMPT)

    def _hear(self, line: str | None) -> list[Event]:
        if line is None:
            screen = self._screen
            events = self._conversation.segment(
                screen.segment, screen.segment_number, screen.grown_from
            )
        else:
            events = self._conversation.line(line)
        if events and isinstance(events[-1], Broken):
            return [*events[:-1], *self._lose(events[-1])]
        return events

    def _lose(self, broken: Broken) -> list[Event]:
        self._begin(Lost())
        return [broken]

    def quiet(self) -> list[Event]:
        """The node has been silent for `quiet_after` seconds. Harmless at any other time."""
        return [] if self.quiet_after is None else self._confirm()

    def _confirm(self) -> list[Event]:
        self._prompts.learn(self._screen.segment)
        events = self._conversation.prompt()
        self._begin(Ready())
        return events

    def nudge(self) -> bytes:
        """An empty line, for a node that shows no prompt."""
        return b"\n"

    def command(self, text: str) -> bytes:
        """Begins a plain command. Raises InvalidArgument, NotAtPrompt."""
        return self._type(check_command(text), Command(text))

    def file_get(self, request: FileGet, receiver: ReceiverAddress) -> bytes:
        """Begins a `file get` that pushes to `receiver`. Raises InvalidArgument, NotAtPrompt."""
        receiver.check()
        self._secrets.add(receiver.password)
        dialogue = FileGetDialogue(request, receiver, self._secrets)
        return self._type(request.command_line(), dialogue)

    def _type(self, line: str, conversation: Conversation) -> bytes:
        if not self.at_prompt:
            raise NotAtPrompt(f"`{line}` during {self._conversation.what}")
        # The prompt that is on the screen must not be taken for the one after the command.
        self._screen.restart()
        self._begin(conversation)
        return f"{line}\n".encode()

    def interrupt(self) -> bytes:
        """Ctrl-C. Questions are not answered any more; the next `admin:` counts at once."""
        if not self._settled:
            self._conversation.interrupted = True
        return b"\x03"

    def quit(self) -> bytes:
        """Ends the node's session; whatever still comes is of no interest."""
        self._begin(Gone())
        return f"{texts.QUIT}\n".encode()

    def closed(self) -> list[Event]:
        """The node closed its side, or the connection is gone."""
        failed = self._conversation.closed()
        self._begin(Gone())
        return [] if failed is None else [Broken(failed)]
