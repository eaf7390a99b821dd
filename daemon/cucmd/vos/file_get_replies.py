"""PURE. Chooses the answers to the questions of `file get`, and decides the stage of the dialogue.

Sending an answer proves nothing: the node may be back at its prompt, where the shell takes the
answer for a command. So only the output that follows leads from one stage to the next. `Answer`
knows whether the node has taken our last answer, and `NEXT` has the stage that follows.

Without a receiver, no answer is given that lets a transfer begin.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.vos.command_lines import ReceiverAddress
from cucmd.vos.questions import QuestionKind

# Answers to one question. A node that does not accept an answer repeats its question without end
# (vos/NODES.md, section 5.3).
MAX_ANSWERS = 3
# Questions of one dialogue. Usual dialogues have seven.
MAX_QUESTIONS = 40
MAX_ASKED = 120  # characters of a question that are shown

_SENDS_LOGIN = frozenset({QuestionKind.PASSWORD, QuestionKind.DIRECTORY})
# The node cannot log in to the receiver without the answers to these.
_NEEDED = frozenset(
    {QuestionKind.HOST, QuestionKind.PORT, QuestionKind.USER, QuestionKind.PASSWORD}
)


class Stage(Enum):
    """Lists the stages of a `file get`, each with the output of the node that proves it."""

    TYPED = auto()  # the command was typed; the node has taken no answer about the receiver
    ASKED = auto()  # the node took an answer about the receiver
    AGREED = auto()  # the node took a password or a directory, so it can log in to the receiver
    CLAIMED = auto()  # the node said "Transfer completed" after the sizes, but could not log in
    COMPLETED = auto()  # the node said "Transfer completed", and could log in


class Evidence(Enum):
    """Lists the observations that lead from one stage to another."""

    ANSWER_TAKEN = auto()  # the node took an answer that its login needs
    LOGIN_TAKEN = auto()  # the node took a password or a directory
    COMPLETED = auto()  # the node said "Transfer completed"
    COMPLETED_UNSIZED = auto()  # the same, but no sizes were announced before
    PROMPT_BEFORE_ANSWER = auto()  # the prompt came where an answer is due or in doubt


# Any other evidence leaves the stage as it is.
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
    """Lists the states of our last answer.

    DUE        the node has shown no sign of the answer
    IN_DOUBT   the node has read the answer, but its words may be a refusal
    TAKEN      the node has echoed the answer, or has gone on
    AT_PROMPT  the node was at its prompt already, so its shell takes the answer for a command
    """

    DUE = auto()
    IN_DOUBT = auto()
    TAKEN = auto()
    AT_PROMPT = auto()


class Answer:
    """Holds our last answer, and its state.

    kind    the kind of question that was answered, or None before the first answer
    echoed  whether the node has echoed the answer. The status may be TAKEN before the echo comes.
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
        """Says whether a prompt now shows that the node lacks an answer that its login needs."""
        if self.is_due or self.met_prompt:
            return self.kind in _NEEDED
        return self._status is AnswerStatus.IN_DOUBT

    def mark_taken(self, *, in_doubt: bool = False) -> Evidence | None:
        """Notes that the node has taken the answer, if that was due. Returns the evidence, if any.

        in_doubt: the node said words that may be a refusal. After a directory they are ignored,
        because a login does not need a directory.
        """
        if not self.is_due:
            return None
        in_doubt = in_doubt and self.kind in _NEEDED
        self._status = AnswerStatus.IN_DOUBT if in_doubt else AnswerStatus.TAKEN
        if self.kind in _SENDS_LOGIN:
            return Evidence.LOGIN_TAKEN
        return Evidence.ANSWER_TAKEN if self.kind in _NEEDED else None

    def clear_doubt(self) -> None:
        """Notes that the node has not refused the answer."""
        if self._status is AnswerStatus.IN_DOUBT:
            self._status = AnswerStatus.TAKEN

    def echo_length(self, rest: str) -> int:
        """Returns how many characters at the beginning of `rest` are the echo of the answer."""
        if self.kind is QuestionKind.PASSWORD and (stars := len(rest) - len(rest.lstrip("*"))):
            return stars
        return len(self._text) if rest.startswith(self._text) else 0

    def without_echo(self, rest: str, *, finished: bool = False) -> str:
        """Returns the text after a question without the echo, if the node has echoed the answer.

        finished: the line has ended.
        """
        if not self.echoed:
            return rest
        echo = self.echo_length(rest)
        behind = rest[echo:].lstrip()
        stars = self.kind is QuestionKind.PASSWORD and rest.startswith("*")
        if finished and behind and stars and echo != len(self._text):
            # The number of stars differs from the length of the password, and more text follows. So
            # this is a message of the node, such as `*** Error`, and not an echo.
            self._status = AnswerStatus.IN_DOUBT
            return rest
        return behind

    def meet_prompt(self, behind: str, *, node_echoes: bool, finished: bool) -> bool:
        """Decides whether the node was at its prompt before it could read the answer.

        behind: the words after the prompt. finished: the line has ended.
        """
        # An echo of the answer after the prompt proves that the shell got the answer, whatever the
        # node has said before. A node that does not echo shows the shell's error instead.
        met = behind.startswith(self._text) or (
            self.is_due and (bool(behind and not node_echoes) or (finished and not behind))
        )
        if met:
            self._status = AnswerStatus.AT_PROMPT
        return met


class Answers:
    """Answers the questions of one `file get`.

    receiver       where the node is to push its files, or None if only the sizes are wanted
    last_question  the question that was answered last, or ""
    """

    def __init__(self, receiver: ReceiverAddress | None) -> None:
        self.receiver = receiver
        self.last_question = ""
        self._asked: Counter[str] = Counter()

    def choose(self, kind: QuestionKind, *, sized: bool) -> str | None:
        """Returns the answer to a question, or None if it must not be answered.

        sized: the node has announced the sizes.
        """
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
        """Says whether a question of that kind was answered. Not meant for yes/no questions."""
        return self._asked[kind.value] > 0

    def answer(self, kind: QuestionKind, asked: str, *, sized: bool) -> str | Failure:
        """Returns the answer to a question, or the failure with which the dialogue ends.

        asked: the question as it may be shown.
        """
        answer, shown = self.choose(kind, sized=sized), asked[:MAX_ASKED]
        if answer is None:
            message = f"the node asked {shown!r}, and no question came that 'n' could answer"
            return failure(Code.COMMAND_REFUSED, message)
        # Questions of one kind count as the same question; yes/no questions only if their wording
        # is the same.
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
            message = f"the node asked more than {MAX_QUESTIONS} questions in one `file get`"
            return failure(Code.RECEIVER_REJECTED, message)
        return answer
