"""PURE. When is `admin:` the prompt?

The one rule: `admin:` is a prompt only at the very end of what has arrived, and only silence can
tell the end from a pause; so this room says how long a silence is convincing, never "yes".
"""

from __future__ import annotations

import re

from cucmd.vos.texts import PROMPT

# With `set commandcount enable` a counter, of unknown format, stands before `admin:`.
MAX_PROMPT = 64
_NUMBER = re.compile(r"\d+")

# Seconds of silence. Between the packets of one burst a node leaves some milliseconds.
QUIET_KNOWN = 0.2  # the prompt looks like one that was confirmed before, the echo was seen
QUIET_LOGIN = 0.5  # a nudge makes the prompt come twice: let both arrive
QUIET_STRANGE = 2.0  # something else stands before `admin:`; it may be half a line of output
QUIET_UNECHOED = 5.0  # our command was not echoed yet: probably an old prompt that came late


class Prompts:
    """The shapes of prompt that this node has shown; at first only the plain one."""

    def __init__(self) -> None:
        self._shapes = {PROMPT}

    @staticmethod
    def is_candidate(segment: str) -> bool:
        """Can the segment that ends the buffer be a prompt? (`…admin:`, a blank after it or not)"""
        return len(segment) <= MAX_PROMPT and segment.rstrip(" ").endswith(PROMPT)

    def is_known(self, segment: str) -> bool:
        return _shape(segment) in self._shapes

    def learn(self, segment: str) -> None:
        """The segment was confirmed as a prompt. A node has one or two shapes, not hundreds."""
        if len(self._shapes) < 8:
            self._shapes.add(_shape(segment))


def _shape(segment: str) -> str:
    return _NUMBER.sub("0", segment)
