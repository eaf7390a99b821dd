"""PURE. Reads what a node says of its `file get`: the sizes that it announces, and why it refuses.

What was not read as a size is unknown, never a smaller one. Of sizes that are announced twice the
larger ones count, so that less never passes as all. `Total size in Kbytes` is rounded to some
digits (vos/NODES.md, section 5.2), so nothing is compared with it.

Where it goes back to its prompt and nothing was transferred, a code names a cause only if the node
said words that prove it. Whatever else it said is `command_refused`, and is quoted.
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
MAX_SAID = 120
_SHORT = 5  # lines of an answer that only refuses
# Of what a node said, in one message. The reason stands first, a general error often last.
MAX_BEGINNING, MAX_END = 240, 80
# What OpenSSH says of a server that it cannot reach, and the words of the kernel in it.
_UNREACHABLE = re.compile(
    r"\bconnect to (?:host|address) \S{1,255} port \d|Connection (?:refused|timed out)"
    r"|No route to host|Network is unreachable",
    re.IGNORECASE,
)
# What `sudo`, OpenSSH, `login` and PAM say of a password. A file may be denied too, and a transfer
# may fail, so neither of these words alone is among them.
_PASSWORD_REFUSED = re.compile(
    r"\bsorry\W{1,4}try again\b|\bpermission denied\W{1,4}(?:please )?try again\b"
    r"|\blogin incorrect\b|\b(?:incorrect|wrong|invalid) password\b"
    r"|\bauthentication fail(?:ed|ure)\b",
    re.IGNORECASE,
)

# A whole number, or groups of three digits between separators of any language. Not the beginning of
# a number that is written in another way.
_NUMBER = (
    r"(\d{1,24}|\d{1,3}(?:[.,'\u2019\u00a0\u202f ]\d{3}){1,8})"
    r"(?![\d\w]|[.,'\u2019\u00a0\u202f ]\d)"
)
_FILES = re.compile(rf"Number of files affected\s{{0,8}}:\s{{0,8}}{_NUMBER}", re.IGNORECASE)
_BYTES = re.compile(rf"Total size in Bytes\s{{0,8}}:\s{{0,8}}{_NUMBER}", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
# No partition has as many bytes. What is more counts as so much: the sums of it are numbers that
# every client of the socket can read, which 24 digits are not.
_MOST = 10**15
MOST_UNREAD = 5


def quote(notes: Collection[str]) -> str:
    """Quotes what the node said, in one line of limited length. `notes` are masked already."""
    said = " / ".join(" ".join(note.split()) for note in notes)
    if len(said) <= MAX_BEGINNING + MAX_END:
        return said
    return f"{said[:MAX_BEGINNING]} ... {said[-MAX_END:]}"


def is_refusal(lines: Sequence[str]) -> bool:
    """Says whether the answer to a plain command is that the node refuses it.

    A file that is searched may have the same words, so only a short answer counts, or the last
    line alone.
    """
    last = next(filter(str.strip, reversed(lines)), "")
    if last.strip().lower().startswith(texts.UNSUCCESSFUL.lower()):
        return True
    said = list(islice(filter(str.strip, lines), _SHORT + 1))
    return len(said) <= _SHORT and any(
        line.startswith((texts.NO_VALID_COMMAND.lower(), texts.INVALID_COMMAND.lower()))
        or texts.WRONG_ARITY in line
        or line.endswith(texts.NO_SUCH_FILE)
        for line in (one.strip().lower() for one in said)
    )


class OutcomeClues:
    """Keeps what the node has said of its command so far, apart from sizes and questions.

    notes        lines that a dialogue does not usually have, masked
    unreachable  one of them says that a server could not be reached
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

        note   what may be shown of it
        begun  the node has taken an answer about the receiver: it has not refused the command
        asked  the node has asked a question before. Our answer may have met the prompt, and then an
               unknown command is our answer and not `file get`.
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
    """Returns the failure for a prompt that came before a transfer, for no reason that is known.

    notes     what the node said since it took the command
    question  the last question that it asked before, or ""
    """
    said = quote(notes)
    if question:
        message = f"the node went back to its prompt at the question {question!r}"
        message += f"; it said: {said}" if said else ""
    elif said:
        message = f"the node refused the command: {said}"
    else:
        message = "the node went back to its prompt and gave no reason"
    hint = None
    if any(texts.UNSUCCESSFUL.lower() in note.lower() for note in notes):
        # It does not say which word of the command it means.
        hint = _check_path(request)
        if request.match is not None:
            hint = f"check --match {request.match!r}, a regular expression, or {hint}"
    return failure(Code.COMMAND_REFUSED, message, hint=hint)


def is_password_refusal(line: str) -> bool:
    """Says whether a line after a password says that it was refused."""
    return _PASSWORD_REFUSED.search(line) is not None


def password_failure(said: str) -> Failure:
    """Returns the failure for a node that refuses the password, which is not typed again."""
    message = f"the node does not accept the receiver's password; it said: {said[:MAX_SAID]!r}"
    return failure(Code.RECEIVER_REJECTED, message)


def directory_failure(where: str | None) -> Failure:
    """Returns the failure for a node that refuses the directory. `where`: the one we answered."""
    message = f"{texts.INVALID_DIRECTORY} (we answered {where!r} to Download directory)"
    return failure(Code.RECEIVER_REJECTED, message)


def _check_path(request: FileGet) -> str:
    """Names the folder above: the path itself is wrong."""
    above = request.path.strip("/").rpartition("/")[0]
    return f"see what is there: file list {request.location} {above or '*'}"


class AnnouncedSizes:
    """`files` and `bytes` are None until the node has said them.

    unread  lines with a number that was not read as a size, the first few, as they may be shown:
            the sizes in words that are not known, perhaps
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
        """Takes words of the node; they may hold both sizes. Gives the sizes, if new with them.

        note: what may be shown of the words, if sizes may be in them; else None.
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
