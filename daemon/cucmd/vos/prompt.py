"""PURE. When is `admin:` the prompt?

`admin:` is the prompt only at the very end of what has arrived, and only silence tells that nothing
follows. So this file never says "yes": it says how long a silence confirms the prompt.
"""

from __future__ import annotations

import re

from cucmd.vos.questions import asks_for_secret
from cucmd.vos.texts import PROMPT

# With `set commandcount enable` a counter, of unknown format, stands before `admin:`.
MAX_PROMPT = 64
_NUMBER = re.compile(r"\d+")

# Seconds of silence. Between the packets of one output there are some milliseconds.
QUIET_KNOWN = 0.2  # the prompt has the form of an earlier one, and the echo was seen
QUIET_LOGIN = 0.5  # after an empty line the prompt comes twice: wait for both
QUIET_UNKNOWN = 2.0  # other text stands before `admin:`; it may be part of a line of output
QUIET_UNECHOED = 5.0  # our command was not echoed yet: probably an earlier prompt that came late
# The last line of a login looks like a question. A banner may stop at a colon for a while too: the
# longest pause seen in one is 5.4 s (vos/NODES.md, section 2), and a resolver needs 10 s (twice
# 5 s) to give up a name server that does not answer. This is longer than either, and leaves most
# of the login's 120 s unused.
QUIET_QUESTION = 15.0


def ends_in_prompt(text: str) -> bool:
    """Whether `admin:` is the last thing in it, with or without blanks after it.

    `Password for admin:` is none: a command would be typed into it.
    """
    return text.rstrip(" ").endswith(PROMPT) and not asks_for_secret(text)


class Prompts:
    """The forms of prompt that this node has shown: at first only the plain one."""

    def __init__(self) -> None:
        self._shapes = {PROMPT}

    @staticmethod
    def is_candidate(segment: str) -> bool:
        """Whether the segment may be a prompt: `...admin:`, and not much before it."""
        return len(segment) <= MAX_PROMPT and ends_in_prompt(segment)

    def is_known(self, segment: str) -> bool:
        return _shape(segment) in self._shapes

    def learn(self, segment: str) -> None:
        """The segment was confirmed as a prompt.

        At most 8 forms are kept; nodes have one or two.
        """
        if len(self._shapes) < 8:
            self._shapes.add(_shape(segment))


def _shape(segment: str) -> str:
    return _NUMBER.sub("0", segment.rstrip(" "))
