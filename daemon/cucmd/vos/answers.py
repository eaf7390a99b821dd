"""PURE. Decides what the questions of `file get` are answered, and what the node has shown by
taking it.

Without a receiver nothing is answered that lets a transfer begin.

Only what a node shows leads from one stage of a `file get` to another, never that an answer was
sent: see `Stage`, `NEXT` and `Answer`.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.vos.command_lines import ReceiverAddress
from cucmd.vos.questions import QuestionKind

# A node that does not accept an answer asks again without end (vos/NODES.md, section 5.3).
MAX_ANSWERS = 3
# All questions of one dialogue together; a normal one has seven.
MAX_QUESTIONS = 40
MAX_ASKED = 120

_SENDS_LOGIN = frozenset({QuestionKind.PASSWORD, QuestionKind.DIRECTORY})
# What a login at the receiver needs.
_NEEDED = frozenset(
    {QuestionKind.HOST, QuestionKind.PORT, QuestionKind.USER, QuestionKind.PASSWORD}
)


class Stage(Enum):
    """Says what a node has shown in a `file get`."""

    TYPED = auto()  # nothing about a receiver
    ASKED = auto()  # it took an answer to a question about the receiver
    AGREED = auto()  # it took a password or a directory: it can log in to the receiver
    CLAIMED = auto()  # it said "Transfer completed" after the sizes, but could not log in
    COMPLETED = auto()  # it said "Transfer completed", and could log in


class Evidence(Enum):
    """Says what leads from one stage to another."""

    ANSWER_TAKEN = auto()
    LOGIN_TAKEN = auto()  # the answer was a password or a directory
    COMPLETED = auto()
    COMPLETED_UNSIZED = auto()  # "Transfer completed", and no sizes were announced before it
    PROMPT_BEFORE_ANSWER = auto()  # where an answer is due or in doubt


# What is not here leaves the stage as it is.
NEXT: dict[tuple[Stage, Evidence], Stage] = {
    (Stage.TYPED, Evidence.ANSWER_TAKEN): Stage.ASKED,
    (Stage.TYPED, Evidence.LOGIN_TAKEN): Stage.AGREED,
    (Stage.TYPED, Evidence.COMPLETED): Stage.CLAIMED,
    (Stage.ASKED, Evidence.LOGIN_TAKEN): Stage.AGREED,
    (Stage.ASKED, Evidence.COMPLETED): Stage.CLAIMED,
    (Stage.CLAIMED, Evidence.ANSWER_TAKEN): Stage.ASKED,
    (Stage.CLAIMED, Evidence.LOGIN_TAKEN): Stage.AGREED,
    (Stage.CLAIMED, Evidence.PROMPT_BEFORE_ANSWER): Stage.ASKED,
    (Stage.AGREED, Evidence.COMPLETED): Stage.COMPLETED,
    (Stage.AGREED, Evidence.COMPLETED_UNSIZED): Stage.COMPLETED,
    (Stage.AGREED, Evidence.PROMPT_BEFORE_ANSWER): Stage.ASKED,
    (Stage.COMPLETED, Evidence.ANSWER_TAKEN): Stage.AGREED,
    (Stage.COMPLETED, Evidence.LOGIN_TAKEN): Stage.AGREED,
    (Stage.COMPLETED, Evidence.PROMPT_BEFORE_ANSWER): Stage.ASKED,
}


class AnswerStatus(Enum):
    """Says how our last answer stands.

    DUE        the node has shown nothing of it
    IN_DOUBT   it was taken, but what the node said after that may be a refusal
    TAKEN      the node has echoed it, or has gone on
    AT_PROMPT  it has met the prompt: the shell takes it for a command
    """

    DUE = auto()
    IN_DOUBT = auto()
    TAKEN = auto()
    AT_PROMPT = auto()


class Answer:
    """Holds our last answer, and how it stands. `kind` None: nothing was answered so far.

    echoed  its echo was seen, which may come after it was taken
    """

    def __init__(self, kind: QuestionKind | None = None, text: str = "") -> None:
        self.kind = kind
        self._text = text
        self._status = AnswerStatus.TAKEN if kind is None else AnswerStatus.DUE
        self.echoed = False

    @property
    def is_due(self) -> bool:
        return self._status is AnswerStatus.DUE

    @property
    def met_prompt(self) -> bool:
        return self._status is AnswerStatus.AT_PROMPT

    @property
    def awaits_echo(self) -> bool:
        return self.kind is not None and not self.echoed and not self.met_prompt

    @property
    def is_missing(self) -> bool:
        """Says whether a prompt that comes now means that the node has not what a login needs."""
        if self.is_due or self.met_prompt:
            return self.kind in _NEEDED
        return self._status is AnswerStatus.IN_DOUBT

    def mark_taken(self, *, in_doubt: bool = False) -> Evidence | None:
        """Notes that the node has taken it, if it was due. Returns what that shows of the stage.

        in_doubt: it said words that may be a refusal. Those after a directory are none: a login
        does not need it.
        """
        if not self.is_due:
            return None
        in_doubt = in_doubt and self.kind in _NEEDED
        self._status = AnswerStatus.IN_DOUBT if in_doubt else AnswerStatus.TAKEN
        if self.kind in _SENDS_LOGIN:
            return Evidence.LOGIN_TAKEN
        return Evidence.ANSWER_TAKEN if self.kind in _NEEDED else None

    def clear_doubt(self) -> None:
        """The node has not refused it."""
        if self._status is AnswerStatus.IN_DOUBT:
            self._status = AnswerStatus.TAKEN

    def echo_length(self, rest: str) -> int:
        """Returns how many characters at the beginning of `rest` are its echo; 0 without one."""
        if self.kind is QuestionKind.PASSWORD and (stars := len(rest) - len(rest.lstrip("*"))):
            return stars
        return len(self._text) if rest.startswith(self._text) else 0

    def without_echo(self, rest: str, *, finished: bool = False) -> str:
        """Returns what stands behind a question without the echo, once that was seen.

        finished: the line has ended.
        """
        if not self.echoed:
            return rest
        echo = self.echo_length(rest)
        behind = rest[echo:].lstrip()
        stars = self.kind is QuestionKind.PASSWORD and rest.startswith("*")
        if finished and behind and stars and echo != len(self._text):
            self._status = AnswerStatus.IN_DOUBT  # `*** Error` is no echo
            return rest
        return behind

    def meet_prompt(self, behind: str, *, node_echoes: bool, finished: bool) -> bool:
        """Notes a prompt with these words behind it. Says whether the answer has met it.

        finished: the line has ended.
        """
        # With its echo behind it, it was not taken, although the node said something since. Without
        # an echo, what stands there is the error already.
        met = behind.startswith(self._text) or (
            self.is_due and (bool(behind and not node_echoes) or (finished and not behind))
        )
        if met:
            self._status = AnswerStatus.AT_PROMPT
        return met


class Answers:
    """Answers a node's questions. `receiver`: where the node is to push. None: nowhere, only the
    sizes are wanted.

    last_question  the question that was answered last, or ""
    """

    def __init__(self, receiver: ReceiverAddress | None) -> None:
        self.receiver = receiver
        self.last_question = ""
        self._asked: Counter[str] = Counter()

    def choose(self, kind: QuestionKind, *, sized: bool) -> str | None:
        """Returns the answer, or None: there is none. `sized`: the sizes are known."""
        receiver = self.receiver
        if receiver is None:
            # A yes/no question may also come before the sizes (vos/NODES.md, section 5.2).
            yes_no = "n" if sized else "y"
            return yes_no if kind is QuestionKind.YES_NO else None
        answers = {
            QuestionKind.HOST: receiver.host,
            QuestionKind.PORT: str(receiver.port),
            QuestionKind.USER: receiver.username,
            QuestionKind.PASSWORD: receiver.password,
            QuestionKind.DIRECTORY: receiver.directory,
            QuestionKind.HOST_KEY: "yes",
        }
        return answers.get(kind, "y")

    def has_answered(self, kind: QuestionKind) -> bool:
        """Says whether a question of that kind was answered, other than a yes/no one."""
        return self._asked[kind.value] > 0

    def answer(self, kind: QuestionKind, asked: str, *, sized: bool) -> str | Failure:
        """Answers one more question, or says why the dialogue has failed with it.

        asked: what may be shown of it
        """
        answer, shown = self.choose(kind, sized=sized), asked[:MAX_ASKED]
        if answer is None:
            message = f"the node asked {shown!r}, and there was no question that could be answered"
            return failure(Code.COMMAND_REFUSED, f"{message} 'n'")
        # Which questions are the same: those of one kind, and of yes/no ones those of one wording.
        name = shown if kind is QuestionKind.YES_NO else kind.value
        self._asked[name] += 1
        self.last_question = asked[-MAX_ASKED:]
        if self._asked[name] > MAX_ANSWERS:
            value = (
                "the password of the receiver" if kind is QuestionKind.PASSWORD else repr(answer)
            )
            message = f"the node asked {shown!r} again after {MAX_ANSWERS} answers"
            return failure(Code.RECEIVER_REJECTED, f"{message}; it does not accept {value}")
        if self._asked.total() > MAX_QUESTIONS:
            message = "the node asks questions without end in the dialogue of `file get`"
            return failure(Code.RECEIVER_REJECTED, message)
        return answer
