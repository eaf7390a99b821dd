"""PURE. Declares which parts of a time window the files of a node cover, and which are missing."""

from datetime import datetime
from typing import Literal

import msgspec

# The most gaps of one node. These are the longest. With more, a job with a thousand nodes and a
# hundred paths would be too large for a reply.
MOST_GAPS = 20
# The most gaps in the middle of one log. These are the longest.
MOST_MIDDLE = 3
# The most logs of one node, spans of one log, and spans of all logs of one node. With these the
# logs of a node take at most 32 kB of JSON, and those of a thousand nodes 32 MB. A reply may have
# 64 MB (`cucmctl.client.frames.LONGEST_REPLY`).
MOST_LOGS, MOST_SPANS, MOST_SPANS_OF_NODE = 60, 50, 150


class Gap(msgspec.Struct, frozen=True):
    """Describes a part of the time window that the files of one path of a collection do not cover.
    This is judged by the time stamps in the files.
    """

    path: str
    # "all": no file came. "begin": the files begin after the window begins. "end": the files end
    # before the window ends. "middle": there is nothing between two files, and their names do not
    # show that no file is missing. For a log, the 3 longest of these are named.
    missing: Literal["all", "begin", "end", "middle"]
    # The value of `written_for` that a new job has to give so that the node sends later files too.
    # Absent if the node has no later files.
    written_for: str | None = None
    # The seconds of the window that are missing, at least. Absent if no file came.
    seconds: int | None = None
    # When the files begin or end, or when a gap in the middle begins, by the clock of the node.
    # Absent if this could be more than one moment.
    at: datetime | None = None
    # The trace that the files belong to. Absent if the path has one trace.
    trace: str | None = None
    # When a gap in the middle ends. Absent as `at` is.
    until: datetime | None = None


class Span(msgspec.Struct, frozen=True):
    """Describes a part of the time window that a log covers, by the clock of the node."""

    begin: datetime
    end: datetime


class LogCoverage(msgspec.Struct, frozen=True):
    """Describes which parts of the time window one log of a node covers. A log is the files whose
    names differ only in numbers.
    """

    # The folder and the name of the files, with "*" for numbers: "cm/trace/ccm/sdl/SDL*.txt".
    log: str
    # In the order of time, at most 50. If there are more, the shortest gaps between them are left
    # out. Time between two spans is missing, unless `unclear` is set.
    spans: tuple[Span, ...] = ()
    # True if other time may be covered too, because files could not be read or have no time stamps
    # that are known, or because a time stamp can be of several moments.
    unclear: bool | None = None


class Covered(msgspec.Struct, frozen=True):
    """Says which part of the time window the files of a node cover.

    text  the same in words
    gaps  the parts that are missing
    logs  the parts that each log covers
    """

    text: str
    gaps: tuple[Gap, ...] = ()
    logs: tuple[LogCoverage, ...] = ()


def format_missing(seconds: float) -> str:
    """Formats a part of a window in whole minutes: "32 min", "1 h 05 min", "3 days 4 h"."""
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} {'day' if days == 1 else 'days'} {hours % 24} h"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min"
