"""PURE. Whether a line of an answer has a form.

No line costs more than its length. One that is longer than any known form is not searched, blanks
at its end are no part of it, and in no pattern do two parts that may vary in length take the same
characters (`tests/unit/test_linear.py` tries all of them).
"""

from __future__ import annotations

import re

LONGEST = 512  # characters; the longest line that was seen has 230


def whole(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """The match of the whole line but for the blanks at its end, or None."""
    return pattern.fullmatch(line.rstrip()) if len(line) <= LONGEST else None


def labelled(line: str, sign: str = ":") -> tuple[str, str]:
    """(label, value) of `Label : value`, without blanks around them.

    Both are empty where the line has no such form, or is too long.
    """
    label, found, value = line.partition(sign) if len(line) <= LONGEST else ("", "", "")
    return (label.strip(), value.strip()) if found else ("", "")
