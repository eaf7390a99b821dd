"""PURE. Recognises a node's questions and pagers, the usual lines of a `file get`, and the prompt.

A question is recognised at the character that completes it, whatever follows. So the events do not
depend on how the bytes are split. file_get_replies.py chooses the answers.

`admin:` is the prompt only if no more text follows, which only silence shows. So this file never
confirms a prompt: it recognises text that may be a prompt, and says how many seconds of silence
confirm that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

import msgspec

from cucmd.vos import texts


class QuestionKind(Enum):
    PAGE = "page"  # a pager, which may come although `set cli pagination off` was sent
    VIEW_PAGE = "view page"  # the pager of `file view`, which cannot be turned off
    YES_NO = "yes or no"
    HOST_KEY = "host key"
    HOST = "host"
    PORT = "port"
    USER = "user"
    PASSWORD = "password"  # noqa: S105  a kind of question, not a password
    PASSWORD_AGAIN = "password again"  # noqa: S105  the words say that a password was refused
    DIRECTORY = "directory"


class Question(msgspec.Struct, frozen=True):
    """Holds the kind of a question, and where in the segment it begins and ends.

    A yes/no question begins with the text before its choice of answers.
    """

    kind: QuestionKind
    begin: int
    end: int


# A node could let a long line grow byte by byte, and searching the whole line each time would cost
# too much. So every pattern has a maximum length, and only new text is searched, together with this
# many characters before it.
MAX_QUESTION = 256
BLANKS, MAY_BLANKS = r"\s{1,8}", r"\s{0,8}"
_ENDINGS = re.compile(r"[:?t]")  # the last character of every pattern ("t": of the pager)


def _literal(text: str) -> str:
    """Returns a pattern for `text` that allows more blanks between words and before the colon."""
    return (
        BLANKS.join(re.escape(word) for word in text.split()).removesuffix(":") + MAY_BLANKS + ":"
    )


# The number in brackets is the default port, which differs between nodes.
_PORT = _literal("SFTP server port").removesuffix(":") + r"(?:\[\d{0,5}\])?\s{0,8}:"
_FIXED = {
    QuestionKind.HOST: _literal(texts.ASK_HOST),
    QuestionKind.PORT: _PORT,
    QuestionKind.USER: _literal(texts.ASK_USER),
    QuestionKind.PASSWORD: _literal(texts.ASK_PASSWORD),
    QuestionKind.DIRECTORY: _literal(texts.ASK_DIRECTORY),
}
# OpenSSH says (yes/no/[fingerprint])? since 8.0, and repeats the question in other words.
_HOST_KEY = (
    r"Are you sure you want to continue connecting\s{0,8}\(yes/no[^)]{0,40}\)\s{0,8}\?",
    r"Please type 'yes'[^:]{0,40}:",
)
_AGAIN = rf"\btry{BLANKS}again\b[^:?]{{0,60}}\bpassword\b[^:?]{{0,60}}:"
_YES_NO = (r"(?:\[y/n\]|\(y/n\)|\(yes/no\))\s{0,8}[?:]", r"Please answer 'y'[^:]{0,80}:")
# Pagers may follow unfinished output on its line. Their texts are long, and no log line has them.
_PAGERS = {
    QuestionKind.PAGE: re.escape(texts.PAGER),
    QuestionKind.VIEW_PAGE: (
        r"options: q=quit, n=next, p=prev, b=begin, e=end \(lines [^()]{0,60}\)\s{0,8}:"
    ),
}
_PAGER_TEXT = re.compile("|".join(_PAGERS.values()))

# The kind, the pattern, and whether the question must be at the start of a segment. If an answer is
# not echoed, the next question follows on the same line, so after an answer a question may be
# anywhere. Each pattern has only one ending. With several endings, the result would depend on how
# the bytes are split.
_QuestionRow = tuple[QuestionKind, re.Pattern[str], bool]


def _row(kind: QuestionKind, text: str, *, at_start: bool = False) -> _QuestionRow:
    return kind, re.compile(text, re.IGNORECASE), at_start


_INDENT = re.compile(r"\s{0,40}")

PAGERS: tuple[_QuestionRow, ...] = tuple(_row(kind, text) for kind, text in _PAGERS.items())
DIALOGUE: tuple[_QuestionRow, ...] = (
    *PAGERS,
    _row(QuestionKind.PASSWORD_AGAIN, _AGAIN),  # before PASSWORD, which may match its end
    *(_row(kind, text, at_start=True) for kind, text in _FIXED.items()),
    *(_row(QuestionKind.HOST_KEY, text) for text in _HOST_KEY),
    *(_row(QuestionKind.YES_NO, text) for text in _YES_NO),
)

# The lines of a `file get` that are no questions. Patterns for lines that may still grow have a
# maximum length, since a node may let a line grow without end.
QUOTED = re.compile(r"\s{0,40}Get file:")
GATHERING = re.compile(r"\s{0,40}Please wait while the system is gathering", re.IGNORECASE)
COMPLETED = re.compile(r"[.\s]{0,200}Transfer completed", re.IGNORECASE)
DOTS = re.compile(r"[.\s]{0,200}\.\s{0,40}")
GET_FILE = re.compile(r"\s*Get file:\s*\S", re.IGNORECASE)
# The beginnings of usual lines, without blanks at their ends. Other lines become notes.
EXPECTED = re.compile(
    r"""(?: $ | \.+$ | done\.?$ | Total\ size\ in | Number\ of\ files
      | Sub-directories\ were | The\ authenticity\ of\ host | .*key\ fingerprint\ is
      | This\ key\ is\ not\ known | Warning:\ Permanently\ added )""",
    re.IGNORECASE | re.VERBOSE,
)

# With `set commandcount enable` the prompt begins with a counter of unknown format.
MAX_PROMPT = 64  # characters of a prompt with such a counter
_COUNTER = re.compile(r"\d+")

# Seconds of silence that confirm a prompt. Packets of one output come within milliseconds.
QUIET_KNOWN = 0.2  # the prompt has the form of an earlier prompt, and the command was echoed
QUIET_LOGIN = 0.5  # at a login: after an empty line the prompt comes twice, so wait for both
QUIET_UNKNOWN = 2.0  # there is text before `admin:`, which may be a line of output
# Our command was not echoed yet, so the prompt is probably an earlier one that came late.
QUIET_UNECHOED = 5.0
# Seconds of silence after which the last line of a login counts as a question. A banner may stop at
# a colon for a while too: the longest pause seen in a banner is 5.4 s (vos/NODES.md, section 2),
# and a resolver needs 10 s (twice 5 s) to give up a name server that does not answer.
QUIET_QUESTION = 15.0

# The end of a login's question. Real wordings are unknown (vos/NODES.md, section 2). So a question
# is recognised by a colon, a question mark or a choice of yes and no at its end, or by the mention
# of a key to press.
_AT_LOGIN = re.compile(
    r"[:?]$"
    r"|[\[(][^\[\]()]{0,40}\b(?:y|n|yes|no)\b[^\[\]()]{0,40}[\])]$"
    r"|\b(?:press|hit)\b.{0,80}\b(?:key|enter|return)\b",
    re.IGNORECASE,
)
# The end of a question in the middle of a command that only reads. A colon alone is not enough
# there: `utils diagnose test` prints the name of a test and a colon, and ends the line when the
# test has run (vos/NODES.md, section 6.4).
_IN_COMMAND = re.compile(
    r"\?$"
    r"|[\[(][^\[\]()]{0,40}\b(?:y|n|yes|no)\b[^\[\]()]{0,40}[\])](?:\s*:)?$"
    r"|\bplease (?:answer|type|enter)\b.{0,80}:$"
    r"|\b(?:press|hit)\b.{0,80}\b(?:key|enter|return)\b",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b(?:pass(?:word|wd|code|phrase)|pin|otp|token|code)\b[^:?]{0,80}[:?]$", re.IGNORECASE
)


def is_login_question(line: str) -> bool:
    """Says whether a line of a login looks like a question. A banner may look the same."""
    return (
        len(line) <= MAX_QUESTION
        and any(char.isalpha() for char in line)
        and _AT_LOGIN.search(line.rstrip()) is not None
    )


def is_command_question(line: str) -> bool:
    """Says whether the unfinished last line of a command that only reads is a question."""
    return len(line) <= MAX_QUESTION and (
        _IN_COMMAND.search(line.rstrip()) is not None or is_secret_question(line)
    )


def is_secret_question(line: str) -> bool:
    """Says whether a line ends in a question for a password or a code."""
    return len(line) <= MAX_QUESTION and _SECRET.search(line.rstrip()) is not None


class Questions:
    """Finds each question of a segment once, while the segment grows.

    answered: where in the segment the last question that was yielded ends.
    """

    def __init__(self, rows: tuple[_QuestionRow, ...]) -> None:
        self._rows = rows
        self._number = 0
        self.answered = 0

    def in_segment(self, segment: str, number: int, grown_from: int) -> Iterator[Question]:
        """Yields the questions that have become complete. See `Screen` for the arguments."""
        if number != self._number:
            self._number, self.answered = number, 0
        if not _ENDINGS.search(segment, grown_from):
            return
        while question := self._find_first(segment, max(self.answered, grown_from - MAX_QUESTION)):
            self.answered = question.end
            yield question

    def _find_first(self, segment: str, since: int) -> Question | None:
        found: Question | None = None
        for kind, pattern, at_start in self._rows:
            if at_start and not self.answered:
                indent = _INDENT.match(segment)
                match = pattern.match(segment, indent.end() if indent else 0)
            else:
                match = pattern.search(segment, since)
            if match and (found is None or match.end() < found.end):
                begin = (
                    match.start() if at_start else max(self.answered, match.end() - MAX_QUESTION)
                )
                found = Question(kind, begin, match.end())
        return found


def without_pagers(line: str) -> str | None:
    """Returns a finished line without pagers, or None if the line has no other text."""
    rest = _PAGER_TEXT.sub("", line)
    return None if rest != line and not rest.strip() else rest


def ends_in_prompt(text: str) -> bool:
    """Says whether `text` ends in `admin:`, with or without blanks after it.

    Returns False for `Password for admin:`, since a command would be typed as the password.
    """
    return text.rstrip(" ").endswith(texts.PROMPT) and not is_secret_question(text)


class Prompts:
    """Holds the forms of the prompt that this node has shown. The plain form is always known."""

    def __init__(self) -> None:
        self._shapes = {texts.PROMPT}

    @staticmethod
    def is_candidate(segment: str) -> bool:
        """Says whether the segment may be a prompt: `admin:` with little text before it."""
        return len(segment) <= MAX_PROMPT and ends_in_prompt(segment)

    def is_known(self, segment: str) -> bool:
        return _shape(segment) in self._shapes

    def learn(self, segment: str) -> None:
        """Remembers the form of a confirmed prompt."""
        self._shapes.add(_shape(segment))


def _shape(segment: str) -> str:
    return _COUNTER.sub("0", segment.rstrip(" "))
