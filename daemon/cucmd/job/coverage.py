"""PURE. Declares which parts of a time window the files of a node cover, and which are missing."""

from datetime import datetime
from typing import Literal

import msgspec

# The most gaps of one node. With more, a job with a thousand nodes and a hundred paths would be too
# large for a reply.
MOST_GAPS = 20


class Gap(msgspec.Struct, frozen=True):
    """Describes a part of the time window that the files of one path of a collection do not cover.
    This is judged by the time stamps in the files.
    """

    path: str
    # "all": no file came. "begin": the files begin after the window begins. "end": the files end
    # before the window ends.
    missing: Literal["all", "begin", "end"]
    # The value of `written_for` that a new job has to give so that the node sends later files too.
    # Absent if the node has no later files.
    written_for: str | None = None
    # The seconds of the window that are missing, at least. Absent if no file came.
    seconds: int | None = None
    # When the files begin or end, by the clock of the node. Absent if this could be more than one
    # moment.
    at: datetime | None = None
    # The trace that the files belong to. If the path has several traces, this is the one of which
    # most is missing. Absent if the path has one trace.
    trace: str | None = None


class Covered(msgspec.Struct, frozen=True):
    """Says which part of the time window the files of a node cover.

    text  the same in words
    gaps  the parts that are missing
    """

    text: str
    gaps: tuple[Gap, ...] = ()


def format_missing(seconds: float) -> str:
    """Formats a part of a window in whole minutes: "32 min", "1 h 05 min", "3 days 4 h"."""
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} {'day' if days == 1 else 'days'} {hours % 24} h"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min"
