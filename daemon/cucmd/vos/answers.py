"""PURE. What the questions of `file get` are answered, and when there is no answer any more.

Without a receiver nothing is answered that lets a transfer begin.
"""

from __future__ import annotations

from collections import Counter

from cucmd.failure import Failure
from cucmd.vos import refusals
from cucmd.vos.commands import ReceiverAddress
from cucmd.vos.questions import Ask

# A node that does not accept an answer asks again without end (vos/NODES.md, section 5.3).
MAX_ANSWERS = 3
# All questions of one dialogue together; a normal one has seven.
MAX_QUESTIONS = 40
MAX_PAGERS = 10_000
MAX_ASKED = 120


class Answers:
    """`receiver`: where the node is to push. None: nowhere, only the sizes are wanted.

    last_asked  the question that was answered last, or ""
    """

    def __init__(self, receiver: ReceiverAddress | None) -> None:
        self.receiver = receiver
        self.last_asked = ""
        self._asked: Counter[str] = Counter()
        self._pages = 0

    def to(self, ask: Ask, *, sized: bool) -> str | None:
        """The answer, or None: there is none. `sized`: the sizes are known."""
        receiver = self.receiver
        if receiver is None:
            # A yes/no question may also come before the sizes (vos/NODES.md, section 5.2).
            yes_no = "n" if sized else "y"
            return yes_no if ask is Ask.YES_NO else None
        answers = {
            Ask.HOST: receiver.host,
            Ask.PORT: str(receiver.port),
            Ask.USER: receiver.username,
            Ask.PASSWORD: receiver.password,
            Ask.DIRECTORY: receiver.directory,
            Ask.HOST_KEY: "yes",
        }
        return answers.get(ask, "y")

    def were_given(self, ask: Ask) -> bool:
        """Whether a question of that kind was answered, other than a yes/no one."""
        return self._asked[ask.value] > 0

    def next(self, ask: Ask, asked: str, *, sized: bool) -> str | Failure:
        """The answer to one more question, or why the dialogue has failed with it.

        asked: what may be shown of it
        """
        answer = self.to(ask, sized=sized)
        if answer is None:
            return refusals.nowhere_to_push(asked[:MAX_ASKED])
        # Which questions are the same: those of one kind, and of yes/no ones those of one wording.
        name = asked[:MAX_ASKED] if ask is Ask.YES_NO else ask.value
        self._asked[name] += 1
        self.last_asked = asked[-MAX_ASKED:]
        if self._asked[name] > MAX_ANSWERS:
            shown = None if ask is Ask.PASSWORD else answer
            return refusals.answer_refused(asked[:MAX_ASKED], shown, MAX_ANSWERS)
        too_many = self._asked.total() > MAX_QUESTIONS
        return refusals.endless_questions() if too_many else answer

    def next_page(self) -> Failure | None:
        """Why the dialogue has failed with one more pager, or None."""
        self._pages += 1
        return refusals.endless_questions() if self._pages > MAX_PAGERS else None
