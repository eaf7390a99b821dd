"""PURE. The questions that a node asks in the middle of a command, pagers among them.

The one rule: a question is recognised at the character that completes it, whatever follows, so
that the answer does not depend on how the bytes were split. No answer is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

import msgspec

from cucmd.vos import texts


class Ask(Enum):
    """What is asked for."""

    PAGE = "page"  # `set cli pagination off` did not take
    VIEW_PAGE = "view page"  # the pager of `file view`, which cannot be turned off
    YES_NO = "yes or no"
    HOST_KEY = "host key"
    HOST = "host"
    PORT = "port"
    USER = "user"
    PASSWORD = "password"  # noqa: S105  a kind of question, not a password
    DIRECTORY = "directory"


class Question(msgspec.Struct, frozen=True):
    """Where in the segment it stands, from `begin` to `end`, with what led to a yes/no."""

    ask: Ask
    begin: int
    end: int


# A line may be made so long, and grow so slowly, that to look at all of it each time it grows would
# take for ever: every pattern is bounded, and only what is new is looked at, with this much before.
MAX_QUESTION = 256
BLANKS, MAY_BLANKS = r"\s{1,8}", r"\s{0,8}"
_ENDINGS = re.compile(r"[:?t]")  # the last character of every pattern; "t" is that of the pager


def _literal(text: str) -> str:
    """A literal text as a pattern that forgives how many blanks stand where."""
    return (
        BLANKS.join(re.escape(word) for word in text.split()).removesuffix(":") + MAY_BLANKS + ":"
    )


# The port's default is the node's to choose.
_PORT = _literal("SFTP server port").removesuffix(":") + r"(?:\[\d{0,5}\])?\s{0,8}:"
_FIXED = {
    Ask.HOST: _literal(texts.ASK_HOST),
    Ask.PORT: _PORT,
    Ask.USER: _literal(texts.ASK_USER),
    Ask.PASSWORD: _literal(texts.ASK_PASSWORD),
    Ask.DIRECTORY: _literal(texts.ASK_DIRECTORY),
}
# OpenSSH says (yes/no/[fingerprint])? since 8.0, and asks in other words the second time.
_HOST_KEY = (
    r"Are you sure you want to continue connecting\s{0,8}\(yes/no[^)]{0,40}\)\s{0,8}\?",
    r"Please type 'yes'[^:]{0,40}:",
)
_YES_NO = (r"(?:\[y/n\]|\(y/n\)|\(yes/no\))\s{0,8}[?:]", r"Please answer 'y'[^:]{0,80}:")
# Both pagers are long and of a kind that no log line has; they may follow unfinished output.
_PAGERS = {
    Ask.PAGE: re.escape(texts.PAGER),
    Ask.VIEW_PAGE: r"options: q=quit, n=next, p=prev, b=begin, e=end \(lines [^()]{0,60}\)\s{0,8}:",
}
_PAGER_TEXT = re.compile("|".join(_PAGERS.values()))

# What is asked; the pattern; must it stand at the start of a segment? An answer may not be echoed,
# and then the next question follows on the same line, so after an answer none must. Each pattern
# can end in one way only: alternatives with different ends would depend on the split.
_Row = tuple[Ask, re.Pattern[str], bool]


def _row(ask: Ask, text: str, *, at_start: bool = False) -> _Row:
    return ask, re.compile(text, re.IGNORECASE), at_start


_INDENT = re.compile(r"\s{0,40}")

PAGERS: tuple[_Row, ...] = tuple(_row(ask, text) for ask, text in _PAGERS.items())
DIALOGUE: tuple[_Row, ...] = (
    *PAGERS,
    *(_row(ask, text, at_start=True) for ask, text in _FIXED.items()),
    *(_row(Ask.HOST_KEY, text) for text in _HOST_KEY),
    *(_row(Ask.YES_NO, text) for text in _YES_NO),
)


class Questions:
    """Finds each question of a segment once, while the segment grows."""

    def __init__(self, rows: tuple[_Row, ...]) -> None:
        self._rows = rows
        self._number = 0
        self.answered = 0  # how far into the segment everything that was asked is answered

    def in_segment(self, segment: str, number: int, grown_from: int) -> Iterator[Question]:
        """Those that are complete now and were not before; see `Screen` for the three."""
        if number != self._number:
            self._number, self.answered = number, 0
        if not _ENDINGS.search(segment, grown_from):
            return
        while question := self._first(segment, max(self.answered, grown_from - MAX_QUESTION)):
            self.answered = question.end
            yield question

    def _first(self, segment: str, since: int) -> Question | None:
        found: Question | None = None
        for ask, pattern, at_start in self._rows:
            if at_start and not self.answered:
                indent = _INDENT.match(segment)
                match = pattern.match(segment, indent.end() if indent else 0)
            else:
                match = pattern.search(segment, since)
            if match and (found is None or match.end() < found.end):
                begin = (
                    match.start() if at_start else max(self.answered, match.end() - MAX_QUESTION)
                )
                found = Question(ask, begin, match.end())
        return found


def without_pagers(line: str) -> str | None:
    """A finished line without the pagers on it; None if there was nothing else."""
    rest = _PAGER_TEXT.sub("", line)
    return None if rest != line and not rest.strip() else rest
