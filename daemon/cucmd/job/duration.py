"""PURE. Reads durations of a request, which are text: `last`, the length of a window, and
`written_for`.

What is refused here is refused with the form that is expected, and without the value.

`written_for` is for how long one file of a path is written to. A node chooses files by their last
change, so a file that has the end of a window in it has changed by so much later, at the latest
(vos/window.py); for files that are written to all the time it is "always".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

LENGTHS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "mo": timedelta(days=31),  # the longest: it must cover any month
}
# Compiled on first use: most calls of the client need neither.
_DURATION = r"(?:[0-9]{1,6}(?:mo|[smhdw]))+"
_PART = r"([0-9]{1,6})(mo|[smhdw])"
_LONGEST = timedelta(days=3660)  # ten years: older than any log, and dates stay in range

# The files are written to all the time.
ALWAYS = "always"
# Where nothing is known of a path, and of traces (vos/NODES.md, section 7.2).
USUAL_WRITTEN_FOR = "1h"
# What is tried next where the end of a window has not come: a quiet node, a day, a week.
_LONGER = ("6h", "1d", "1w")


def split_duration(text: str) -> Iterator[tuple[int, str]]:
    """Yields (number, unit) of each part of a duration: of "1h30m" (1, "h") and (30, "m")."""
    for number, unit in re.findall(_PART, text):
        yield int(number), unit


def parse_last(text: str) -> timedelta:
    """Returns the duration that `text` means: "90s", "30m", "2h", "3d", "1w", "1mo", "1h30m".

    Raises ValueError that says which form is expected.
    """
    if not re.fullmatch(_DURATION, text):
        raise ValueError('expected a duration such as "30m", "2h", "3d" or "1w"')
    total = sum((number * LENGTHS[unit] for number, unit in split_duration(text)), timedelta())
    if not timedelta() < total <= _LONGEST:
        raise ValueError("expected a duration of more than 0 and at most ten years")
    return total


def parse_written_for(text: str) -> timedelta | None:
    """Reads for how long one file is written to; None: all the time ("always").

    Raises ValueError that says which form is expected.
    """
    if text == ALWAYS:
        return None
    try:
        return parse_last(text)
    except ValueError as error:
        raise ValueError(f'{error}, or "{ALWAYS}"') from None


def longest_written_for(options: Iterable[str]) -> str:
    """Returns that of several `written_for`, at least one, with which all the others come too."""
    return max(options, key=lambda one: parse_written_for(one) or timedelta.max)


def next_written_for(written_for: str, until: datetime, by: datetime) -> str | None:
    """Returns the next longer `written_for`, with which later files come.

    None: whatever had changed by then was asked for.

    until  the end of the window (aware)
    by     when the node was asked for its files (aware)
    """
    tried = parse_written_for(written_for)
    if tried is None or until + tried >= by:
        return None
    return next((one for one in _LONGER if parse_last(one) > tried), ALWAYS)
