"""PURE. What a node has shown in a `file get`: five stages, and what leads from one to another.

Only what a node shows leads to another stage, never that an answer was sent.

    TYPED       nothing about a receiver
    ASKED       it took an answer to a question about the receiver
    AGREED      it took a password or a directory: it can log in to the receiver
    CLAIMED     it said "Transfer completed" after the sizes, but could not log in
    COMPLETED   it said "Transfer completed", and could log in

`NEXT` as a table; where nothing stands, the stage stays:

                an answer   a password or        "Transfer          the prompt, where an
                is taken    directory is taken   completed"         answer is due or in doubt
    TYPED       ASKED       AGREED               CLAIMED if sized
    ASKED                   AGREED               CLAIMED if sized
    CLAIMED     ASKED       AGREED                                  ASKED
    AGREED                                       COMPLETED          ASKED
    COMPLETED   AGREED      AGREED                                  ASKED
"""

from __future__ import annotations

from enum import Enum, auto


class Stage(Enum):
    """See the top of this file."""

    TYPED = auto()
    ASKED = auto()
    AGREED = auto()
    CLAIMED = auto()
    COMPLETED = auto()


class Shown(Enum):
    """What leads from one stage to another."""

    ANSWER_TAKEN = auto()
    LOGIN_TAKEN = auto()  # the answer was a password or a directory
    COMPLETED = auto()
    COMPLETED_UNSIZED = auto()  # "Transfer completed", and no sizes were announced before it
    PROMPT_BEFORE_ANSWER = auto()


NEXT: dict[Stage, dict[Shown, Stage]] = {
    Stage.TYPED: {
        Shown.ANSWER_TAKEN: Stage.ASKED,
        Shown.LOGIN_TAKEN: Stage.AGREED,
        Shown.COMPLETED: Stage.CLAIMED,
    },
    Stage.ASKED: {
        Shown.LOGIN_TAKEN: Stage.AGREED,
        Shown.COMPLETED: Stage.CLAIMED,
    },
    Stage.CLAIMED: {
        Shown.ANSWER_TAKEN: Stage.ASKED,
        Shown.LOGIN_TAKEN: Stage.AGREED,
        Shown.PROMPT_BEFORE_ANSWER: Stage.ASKED,
    },
    Stage.AGREED: {
        Shown.COMPLETED: Stage.COMPLETED,
        Shown.COMPLETED_UNSIZED: Stage.COMPLETED,
        Shown.PROMPT_BEFORE_ANSWER: Stage.ASKED,
    },
    Stage.COMPLETED: {
        Shown.ANSWER_TAKEN: Stage.AGREED,
        Shown.LOGIN_TAKEN: Stage.AGREED,
        Shown.PROMPT_BEFORE_ANSWER: Stage.ASKED,
    },
}
