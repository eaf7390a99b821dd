"""PURE. The dialogue of `file get`, in the forms of all releases.

The one rule: only the prompt ends it. "done." and "Transfer completed" do not: what they mean is
decided when the prompt is back.

The parts and their order are in vos/NODES.md, section 5.2. This code does not depend on the order.
It answers what is asked, and gives up when the node does not accept an answer.
"""

from __future__ import annotations

import re
from collections import Counter, deque

from cucmd.failure import Code, Failure, failure
from cucmd.vos import texts
from cucmd.vos.commands import FileGet, ReceiverAddress, typed
from cucmd.vos.events import (
    Agreed,
    Broken,
    Event,
    FileGetDone,
    Moving,
    NothingMatched,
    Send,
    Sized,
)
from cucmd.vos.questions import DIALOGUE, Ask, Questions, without_pagers
from cucmd.vos.secrets import MASK, Secrets
from cucmd.vos.states import MIB, PAGER_KEYS, State, is_echo

# A node that does not accept an answer asks again, without end (vos/NODES.md, section 5.3).
MAX_ANSWERS = 3
# All questions of one dialogue together; a normal one has seven.
MAX_QUESTIONS = 40
MAX_PAGERS = 10_000
MAX_NOTES = 20
MAX_NOTE = 200

_QUOTED = re.compile(r"\s{0,40}Get file:")
_GATHERING = re.compile(r"\s{0,40}Please wait while the system is gathering", re.IGNORECASE)
_COMPLETED = re.compile(r"[.\s]{0,200}Transfer completed", re.IGNORECASE)
_GET_FILE = re.compile(r"\s*Get file:\s*\S", re.IGNORECASE)
_FILES = re.compile(r"\s*Number of files affected\s*:\s*([\d,]{1,18})\s*$", re.IGNORECASE)
_BYTES = re.compile(r"\s*Total size in Bytes\s*:\s*([\d,]{1,24})\s*$", re.IGNORECASE)
# Words that a node may use for what follows `match`. What a real node says is unknown.
_PATTERN = re.compile(r"regular expression|regexp?\b|pattern", re.IGNORECASE)
# Lines that any dialogue may have. Other lines become notes.
_EXPECTED = re.compile(
    r"""\s*(?: $ | \.+\s*$ | done\.?\s*$ | Total\ size\ in | Number\ of\ files
      | Sub-directories\ were | The\ authenticity\ of\ host | .*key\ fingerprint\ is
      | This\ key\ is\ not\ known | Warning:\ Permanently\ added | Executed\ command
      | No\ files\ matched )""",
    re.IGNORECASE | re.VERBOSE,
)


class FileGetDialogue(State):
    """One `file get`, from its echo to the prompt."""

    # A path of 70 characters for each of 200,000 files, or 500 GB of one dot a block of 32 KiB.
    max_bytes = 16 * MIB
    what = "`file get`"

    def __init__(self, request: FileGet, receiver: ReceiverAddress, secrets: Secrets) -> None:
        self._secrets = secrets
        self._request = request
        self._command = "".join(request.command_line().split())
        self._receiver = receiver
        self.echoed = False
        self._questions = Questions(DIALOGUE)
        self._asked: Counter[str] = Counter()
        self._pages = 0
        self._agreed = self._completed = False
        self._files: int | None = None
        self._bytes: int | None = None
        self._sized = False
        self._nothing_matched = self._directory_refused = False
        self._refusal: Failure | None = None
        self._unsuccessful = False
        self._notes: deque[str] = deque(maxlen=MAX_NOTES)

    # What the node sends

    def received(self) -> list[Event]:
        return [Moving()] if self._agreed and not self._completed else []

    def segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        self._progress(text)
        if self.interrupted or self._is_quoted(text):
            return []
        return self._answer_questions(text, number, grown_from)

    def line(self, text: str) -> list[Event]:
        rest = without_pagers(text) if text else None  # there may be very many empty lines
        if rest is None:
            return []
        if not self.echoed and is_echo(rest, self._command):
            self.echoed = True
            return []
        if _GET_FILE.match(rest):  # newer releases name each file while they gather
            self.echoed = True
            return []
        self._interpret(rest)
        return self._sizes(rest)

    def _progress(self, text: str) -> None:
        if not self.echoed and _GATHERING.match(text):
            self.echoed = True
        elif self._agreed and _COMPLETED.match(text):
            self._completed = True

    def _is_quoted(self, text: str) -> bool:
        """Names and patterns may look like questions, so none is looked for in these lines."""
        return (not self.echoed and "file get " in text) or bool(_QUOTED.match(text))

    def _sizes(self, line: str) -> list[Event]:
        if match := _FILES.match(line):
            self._files = _number(match[1])
        elif match := _BYTES.match(line):
            self._bytes = _number(match[1])
        if self._sized or self._files is None or self._bytes is None:
            return []
        self._sized = True
        return [Sized(self._files, self._bytes)]

    def _interpret(self, line: str) -> None:
        """Notes what the line says about how the command ends. It is judged at the prompt."""
        lowered = line.lower()
        note = self._secrets.mask(line.strip())[:MAX_NOTE]
        if texts.NO_FILES_MATCHED.lower() in lowered:
            self._nothing_matched = True
        elif texts.INVALID_DIRECTORY.lower() in lowered:
            self._directory_refused = True
        elif texts.UNSUCCESSFUL.lower() in lowered:
            self._unsuccessful = True
        elif self._refusal is None:
            self._refusal = _refusal(lowered, note, _check_path(self._request))
        if not self._is_expected(line):
            self._notes.append(note)

    def _is_expected(self, line: str) -> bool:
        """Usual lines, lines before the echo, and questions with their echoed answers."""
        if self._questions.answered or _EXPECTED.match(line):
            return True
        return not self.echoed or bool(_GATHERING.match(line) or _COMPLETED.match(line))

    # What it is answered

    def _answer_questions(self, text: str, number: int, grown_from: int) -> list[Event]:
        events: list[Event] = []
        for question in self._questions.in_segment(text, number, grown_from):
            self.echoed = True
            asked = self._secrets.mask(text[: question.end], question.begin)
            events += self._answer(question.ask, " ".join(asked.split()))
            if isinstance(events[-1], Broken):
                break
        return events

    def _answer(self, ask: Ask, asked: str) -> list[Event]:
        """The events for one question. `asked` is what may be shown of it."""
        if key := PAGER_KEYS.get(ask):
            self._pages += 1
            too_many = self._pages > MAX_PAGERS
            return [Broken(self._endless_questions())] if too_many else [Send(key, key.decode())]
        answer = self._answer_to(ask)
        shown = MASK if ask is Ask.PASSWORD else answer
        # Which questions are the same: those of one kind, and of yes/no ones those of one wording.
        name = asked[:120] if ask is Ask.YES_NO else ask.value
        self._asked[name] += 1
        if self._asked[name] > MAX_ANSWERS:
            return [Broken(_answer_refused(asked, shown))]
        if self._asked.total() > MAX_QUESTIONS:
            return [Broken(self._endless_questions())]
        send = Send(typed(answer), shown)
        if ask is not Ask.DIRECTORY or self._agreed:
            return [send]
        self._agreed = True
        return [send, Agreed()]

    def _answer_to(self, ask: Ask) -> str:
        receiver = self._receiver
        answers = {
            Ask.HOST: receiver.host,
            Ask.PORT: str(receiver.port),
            Ask.USER: receiver.username,
            Ask.PASSWORD: receiver.password,
            Ask.DIRECTORY: receiver.directory,
            Ask.HOST_KEY: "yes",
        }
        return answers.get(ask, "y")

    def _endless_questions(self) -> Failure:
        message = "the node asks questions without end in the dialogue of `file get`"
        return failure(Code.RECEIVER_REJECTED, message)

    # How it ends

    def prompt(self) -> list[Event]:
        if self._completed or self.interrupted:
            return [self._done()]
        if not self._agreed and (self._nothing_matched or self._files == 0):
            return [NothingMatched()]
        if self._directory_refused:
            where = self._receiver.directory
            message = f"{texts.INVALID_DIRECTORY} (we answered {where!r} to Download directory)"
            return [Broken(failure(Code.RECEIVER_REJECTED, message))]
        if not self._agreed and (broken := self._refusal or self._unexplained()):
            return [Broken(broken)]
        return [self._done()]

    def _unexplained(self) -> Failure | None:
        """Refused before a transfer, without a known reason: path, window or pattern is wrong."""
        if not self._unsuccessful:
            return None
        said = self._notes[-1] if self._notes else texts.UNSUCCESSFUL
        message = f"the node refused the command: {said}"
        return failure(Code.INVALID_PATH, message, hint=_check_words(self._request, said))

    def _done(self) -> FileGetDone:
        return FileGetDone(self._completed, self._files, self._bytes, tuple(self._notes))


def _number(text: str) -> int | None:
    digits = text.replace(",", "")
    return int(digits) if digits else None


def _answer_refused(asked: str, shown: str) -> Failure:
    value = "the password of the receiver" if shown == MASK else repr(shown)
    message = (
        f"the node asked {asked[:120]!r} again after {MAX_ANSWERS} answers; "
        f"it does not accept {value}"
    )
    return failure(Code.RECEIVER_REJECTED, message)


def _check_path(request: FileGet) -> str:
    return f"check the path on the node: file list {request.location} {request.path}"


def _check_words(request: FileGet, said: str) -> str:
    """A hint for a refusal that does not say which word of the command it means."""
    if request.match is None:
        return _check_path(request)
    check_match = f"check --match {request.match!r}, a regular expression"
    return check_match if _PATTERN.search(said) else f"{check_match}, or {_check_path(request)}"


def _refusal(lowered: str, line: str, check_path: str) -> Failure | None:
    """The failure that a line of the node means by itself, or None.

    `lowered` is the line in lower case, `line` what may be shown of it.
    """
    if texts.NO_SUCH_FILE in lowered:
        return failure(Code.INVALID_PATH, f"the node says: {line}", hint=check_path)
    if texts.WRONG_ARITY in lowered:
        message = f"the node took an argument for several: {line}"
        return failure(Code.INVALID_PATH, message, hint="use paths and patterns without blanks")
    if texts.NO_VALID_COMMAND.lower() in lowered:
        message = f"the node does not know `file get`: {line}"
        hint = "the account must be a platform administrator of the node"
        return failure(Code.NOT_A_NODE, message, hint=hint)
    return None
