"""PURE. The node's command line: bytes in, events and answers out.

The one rule of the room: no clock, no I/O, no trio. What a node says is judged by its bytes alone,
however they were split, and whatever it says, memory stays bounded.

    session.py       the machine that a driver talks to; read this first
    events.py        what it tells its driver
    conversation.py  what a session can be in the middle of; file_get.py is the long one
    questions.py     what a node asks; prompt.py: when is `admin:` the prompt?
    screen.py        lines and the current segment, from the text that escapes.py lets through
    commands.py      what is typed, from words that arguments.py has checked
    window.py        the time window of a collection, in the node's terms
    status.py        what a node says of itself
    secrets.py       what must not be shown, and how it is covered
    transcript.py    both directions as lines for a person
    texts.py         what nodes say, word for word
"""

from cucmd.vos.arguments import InvalidArgument, check_word
from cucmd.vos.commands import FileGet, ReceiverAddress
from cucmd.vos.events import (
    Agreed,
    Broken,
    CommandDone,
    Event,
    FileGetDone,
    Moving,
    NothingMatched,
    Prompted,
    Send,
    Sized,
)
from cucmd.vos.session import NotAtPrompt, Session
from cucmd.vos.status import NodeStatus, parse_show_status
from cucmd.vos.texts import LOCATIONS, PAGER_OFF, SHOW_STATUS
from cucmd.vos.transcript import Transcript
from cucmd.vos.window import AbsTime, RelTime, Window, needs_zone, parse_last, window_for

__all__ = [
    "LOCATIONS",
    "PAGER_OFF",
    "SHOW_STATUS",
    "AbsTime",
    "Agreed",
    "Broken",
    "CommandDone",
    "Event",
    "FileGet",
    "FileGetDone",
    "InvalidArgument",
    "Moving",
    "NodeStatus",
    "NotAtPrompt",
    "NothingMatched",
    "Prompted",
    "ReceiverAddress",
    "RelTime",
    "Send",
    "Session",
    "Sized",
    "Transcript",
    "Window",
    "check_word",
    "needs_zone",
    "parse_last",
    "parse_show_status",
    "window_for",
]
