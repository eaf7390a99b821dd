"""PURE. Says what the files of a node cover of the window of a collection, and what they do not."""

from datetime import datetime
from typing import Literal

import msgspec

# Of one node: with a thousand nodes of a hundred paths a job would be too large for a reply.
MOST_GAPS = 20


class Gap(msgspec.Struct, frozen=True):
    """Says what is not there of the window on one path of a collection, by the time stamps in its
    files. missing: "all": no file came; "begin", "end": the files begin later, or end earlier.
    written_for: with which the node would be asked for later files; absent: there are none.
    seconds: of the window that are missing, at least; absent: no file came. at: when the files
    begin or end, by the node's clock as it is set; absent: it can be more than one moment. trace:
    of which they are, of several on that path the one that lacks most; absent: it has no other.
    """

    path: str
    missing: Literal["all", "begin", "end"]
    written_for: str | None = None
    seconds: int | None = None
    at: datetime | None = None
    trace: str | None = None


class Extent(msgspec.Struct, frozen=True):
    """Says from when to when the files of a node cover the window: its ends, and where it has none,
    the first and the last time stamp by the node's clock as it is set. Absent: there are gaps.
    besides: what else is to be said of the files, such as that one could not be read.
    """

    since: datetime | None = None
    until: datetime | None = None
    besides: tuple[str, ...] = ()


class Covered(msgspec.Struct, frozen=True):
    """Says what the files of a node cover of the window, in words, and what they do not. extent:
    absent where it is not known, which only the words say.
    """

    text: str
    gaps: tuple[Gap, ...] = ()
    extent: Extent | None = None


def format_missing(seconds: float) -> str:
    """Shows people so much of a window, in whole minutes: "32 min", "1 h 05 min", "3 days 4 h"."""
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} {'day' if days == 1 else 'days'} {hours % 24} h"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min"
