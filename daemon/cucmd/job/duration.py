"""PURE. Reads the durations of a request, which are texts: `last` and `written_for`.

`last` is the length of a time window. `written_for` says for how long a node writes to one file of
a path. A node chooses files by their last change. So a file that contains the end of a window was
changed at most this long after the end of the window (vos/time_window.py). For files that a node
writes to all the time `written_for` is "always".

An error says which form is expected. It does not repeat the value.
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
    "mo": timedelta(days=31),  # the longest month, because it must cover any month
}
# These are compiled on first use, because most calls of the client need neither.
_DURATION = r"(?:[0-9]{1,6}(?:mo|[smhdw])){1,6}"
_PART = r"([0-9]{1,6})(mo|[smhdw])"
_LONGEST = timedelta(days=3660)  # ten years, which is older than any log; dates stay in range

# The `written_for` of files that a node writes to all the time.
ALWAYS = "always"
# The `written_for` of traces (vos/NODES.md, section 7.2), and of paths of which nothing is known.
USUAL_WRITTEN_FOR = "1h"
# The values to try next if the files do not reach the end of the window.
_LONGER = ("6h", "1d", "1w")


def split_duration(text: str) -> Iterator[tuple[int, str]]:
    """Yields (number, unit) for each part of a duration: for "1h30m" (1, "h") and (30, "m")."""
    for number, unit in re.findall(_PART, text):
        yield int(number), unit


def parse_last(text: str) -> timedelta:
    """Parses a duration: "90s", "30m", "2h", "3d", "1w", "1mo", "1h30m".

    Raises `ValueError` that says which form is expected.
    """
    if not re.fullmatch(_DURATION, text):
        raise ValueError('expected a duration such as "30m", "2h", "3d" or "1w"')
    total = sum((number * LENGTHS[unit] for number, unit in split_duration(text)), timedelta())
    if not timedelta() < total <= _LONGEST:
        raise ValueError("expected a duration of more than 0 and at most ten years")
    return total


def parse_written_for(text: str) -> timedelta | None:
    """Parses for how long a node writes to one file. Returns None for "always".

    Raises `ValueError` that says which form is expected.
    """
    if text == ALWAYS:
        return None
    try:
        return parse_last(text)
    except ValueError as error:
        raise ValueError(f'{error}, or "{ALWAYS}"') from None


def longest_written_for(options: Iterable[str]) -> str:
    """Returns the longest of several values of `written_for`. There must be at least one value."""
    return max(options, key=lambda option: parse_written_for(option) or timedelta.max)


def next_written_for(written_for: str, until: datetime, by: datetime) -> str | None:
    """Returns the next longer `written_for`, with which a new job would get later files, or None if
    the node was asked for all files, so that there are no later files.

    until  the end of the window (aware)
    by     when the node was asked for its files (aware)
    """
    tried = parse_written_for(written_for)
    if tried is None or until + tried >= by:
        return None
    return next((longer for longer in _LONGER if parse_last(longer) > tried), ALWAYS)
