"""PURE. Whether a line of an answer has a form.

The one rule: a line that is longer than any of them is not searched. A node may send as many of
8192 characters as it likes, and a pattern may go over each many times.
"""

from __future__ import annotations

import re

LONGEST = 512  # characters; the longest line that was seen has 230


def whole(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """The match of the whole line, or None."""
    return pattern.fullmatch(line) if len(line) <= LONGEST else None
