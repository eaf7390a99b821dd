"""PURE. Reads the lines of a `file get`: announced sizes, and reasons for a refusal.

Sizes. A size that cannot be read is unknown; it never counts as a smaller number. If sizes are
announced twice, the larger ones count, so that an incomplete transfer never passes as complete.
`Total size in Kbytes` is rounded (vos/NODES.md, section 5.3), so nothing is compared with it.

Refusals. If the node goes back to its prompt without a transfer, the failure names a cause only if
the node's words prove it. Otherwise the failure is `command_refused`, and quotes the node.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.vos import texts
from cucmd.vos.command_lines import FileGet
from cucmd.vos.dialogue_events import SizesAnnounced

MAX_NOTES = 20
MAX_SAID = 120  # characters that the node said about a password
_SHORT = 5  # the most lines of an answer that is only a refusal
# Characters that a message quotes from the beginning and the end of the node's words. Usually the
# reason is at the beginning, and a general error at the end.
MAX_BEGINNING, MAX_END = 240, 80
# OpenSSH's messages about a server that it cannot reach, and the kernel's words within them.
_UNREACHABLE = re.compile(
    r"\bconnect to (?:host|address) \S{1,255} port \d|Connection (?:refused|timed out)"
    r"|No route to host|Network is unreachable",
    re.IGNORECASE,
)
# The words with which `sudo`, OpenSSH, `login` and PAM refuse a password. "Permission denied" and
# "failed" alone do not count: access to a file may be denied too, and a transfer may fail.
PASSWORD_REFUSED = re.compile(
    r"\bsorry\W{1,4}try again\b|\bpermission denied\W{1,4}(?:please )?try again\b"
    r"|\blogin incorrect\b|\b(?:incorrect|wrong|invalid) password\b"
    r"|\bauthentication fail(?:ed|ure)\b",
    re.IGNORECASE,
)

# A number without separators, or with groups of three digits and the separators of any language.
# The end of the pattern keeps it from matching the beginning of a number in another notation.
_NUMBER = (
    r"(\d{1,24}|\d{1,3}(?:[.,'\u2019\u00a0\u202f ]\d{3}){1,8})"
    r"(?![\d\w]|[.,'\u2019\u00a0\u202f ]\d)"
)
_FILES = re.compile(rf"Number of files affected\s{{0,8}}:\s{{0,8}}{_NUMBER}", re.IGNORECASE)
_BYTES = re.compile(rf"Total size in Bytes\s{{0,8}}:\s{{0,8}}{_NUMBER}", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
# No partition has as many bytes, so a larger number counts as this one. Clients of the socket may
# read numbers as 64-bit integers or as doubles, and sums of such sizes must fit.
_MOST = 10**15
MOST_UNREAD = 5  # lines kept in `AnnouncedSizes.unread`


def quote(notes: Collection[str]) -> str:
    """Returns the node's lines as one line of limited length. `notes` must be masked already."""
    text = " / ".join(" ".join(note.split()) for note in notes)
    if len(text) <= MAX_BEGINNING + MAX_END:
        return text
    return f"{text[:MAX_BEGINNING]} ... {text[-MAX_END:]}"


def is_refusal(lines: Sequence[str]) -> bool:
    """Says whether the answer to a plain command is a refusal.

    A file that the command searches may contain the same words. So they count only in a short
    answer, or on the last line.
    """
    last = next(filter(str.strip, reversed(lines)), "")
    if last.strip().lower().startswith(texts.UNSUCCESSFUL.lower()):
        return True
    beginning = list(islice(filter(str.strip, lines), _SHORT + 1))
    return len(beginning) <= _SHORT and any(
        line.startswith((texts.NO_VALID_COMMAND.lower(), texts.INVALID_COMMAND.lower()))
        or texts.WRONG_ARITY in line
        or line.endswith(texts.NO_SUCH_FILE)
        for line in (text.strip().lower() for text in beginning)
    )


class OutcomeClues:
    """Collects the lines that tell how a `file get` ends, apart from sizes and questions.

    notes              lines that are unusual in a `file get`, masked
    nothing_matched    the node said that no file matches
    directory_refused  the node refused the receiver's directory
    unreachable        a line says that a server could not be reached
    cause              the failure, if the node's words prove its cause, else None
    """

    def __init__(self, request: FileGet) -> None:
        self._request = request
        self.notes: deque[str] = deque(maxlen=MAX_NOTES)
        self.nothing_matched = False
        self.directory_refused = False
        self.unreachable = False
        self.cause: Failure | None = None

    def read(self, line: str, note: str, *, begun: bool, asked: bool) -> None:
        """Reads a line that is no question.

        note   the line as it may be shown
        begun  the node has taken an answer about the receiver, so it has not refused the command
        asked  the node has asked a question. If the node was back at its prompt when our answer
               arrived, it took the answer for a command. "No valid command" may then be about the
               answer and not about `file get`.
        """
        lowered = line.lower()
        self.unreachable |= _UNREACHABLE.search(line) is not None
        if texts.NO_FILES_MATCHED.lower() in lowered:
            self.nothing_matched = True
        elif texts.INVALID_DIRECTORY.lower() in lowered:
            self.directory_refused = True
        elif self.cause is not None or begun:
            pass
        elif texts.NO_SUCH_FILE in lowered:
            hint = _check_path(self._request)
            self.cause = failure(Code.INVALID_PATH, f"the node says: {note}", hint=hint)
        elif texts.WRONG_ARITY in lowered:
            message = f"the node took an argument for several: {note}"
            hint = "use paths and patterns without blanks"
            self.cause = failure(Code.INVALID_PATH, message, hint=hint)
        elif texts.NO_VALID_COMMAND.lower() in lowered and not asked:
            message = f"the node does not know `file get`: {note}"
            hint = "the account must be a platform administrator of the node"
            self.cause = failure(Code.NOT_A_NODE, message, hint=hint)


def refusal_failure(request: FileGet, notes: Collection[str], question: str) -> Failure:
    """Returns the failure for a prompt that came before a transfer, for an unknown reason.

    notes     the node's unusual lines since it read the command
    question  the last question of the node, or ""
    """
    quoted = quote(notes)
    if question:
        message = f"the node went back to its prompt at the question {question!r}"
        message += f"; it said: {quoted}" if quoted else ""
    elif quoted:
        message = f"the node refused the command: {quoted}"
    else:
        message = "the node went back to its prompt and gave no reason"
    hint = None
    if any(texts.UNSUCCESSFUL.lower() in note.lower() for note in notes):
        # The node does not say which word of the command is wrong.
        hint = _check_path(request)
        if request.match is not None:
            hint = f"check --match {request.match!r}, a regular expression, or {hint}"
    return failure(Code.COMMAND_REFUSED, message, hint=hint)


def password_failure(words: str) -> Failure:
    """Returns the failure for a refused password, which must not be typed again."""
    message = f"the node does not accept the receiver's password; it said: {words[:MAX_SAID]!r}"
    return failure(Code.RECEIVER_REJECTED, message)


def _check_path(request: FileGet) -> str:
    """Returns the hint for a wrong path: a `file list` of the folder above."""
    above = request.path.strip("/").rpartition("/")[0]
    return f"see what is there: file list {request.location} {above or '*'}"


class AnnouncedSizes:
    """Holds the sizes that a node has announced. `files` and `bytes` are None until then.

    unread  the first few lines with a number that is not a known size, masked. They may be the
            sizes in unknown words.
    """

    def __init__(self) -> None:
        self.files: int | None = None
        self.bytes: int | None = None
        self.unread: list[str] = []

    @property
    def known(self) -> SizesAnnounced | None:
        if self.files is None or self.bytes is None:
            return None
        return SizesAnnounced(self.files, self.bytes)

    def read(self, text: str, note: str | None) -> list[SizesAnnounced]:
        """Reads words of the node, which may contain both sizes. Returns sizes that have changed.

        note: the words as they may be shown, or None if no unknown sizes are expected in them.
        """
        before = self.known
        files, size = _FILES.search(text), _BYTES.search(text)
        if files:
            self.files = _larger(self.files, files[1])
        if size:
            self.bytes = _larger(self.bytes, size[1])
        has_number = note and _DIGIT.search(_BYTES.sub("", _FILES.sub("", note)))
        if note and has_number and len(self.unread) < MOST_UNREAD and note not in self.unread:
            self.unread.append(note)
        now = self.known
        return [] if now is None or now == before else [now]


def _larger(known: int | None, text: str) -> int:
    digits = "".join(filter(str.isdecimal, text))
    return max(min(int(digits), _MOST), known or 0)
