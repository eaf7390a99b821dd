"""PURE. What `file list ... detail` says of the files of a folder.

A line that has not the form of `vos/NODES.md`, section 6.1, is no file. Folders and the line with
the counts are left out too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from cucmd.vos.lines import whole

_FILE = re.compile(
    r"(?P<day>[0-9]{2}) (?P<month>[A-Z][a-z]{2}),(?P<year>[0-9]{4}) "
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})\s*"
    r"(?P<size>[0-9][0-9,]{0,20})  (?P<name>\S.*)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ListedFile(msgspec.Struct, frozen=True):
    """A file of a folder. `size`: in bytes. `modified`: by the node's own clock."""

    name: str
    size: int
    modified: datetime


def parse_file_list(lines: Iterable[str]) -> tuple[ListedFile, ...]:
    """The files of the answer, in its order."""
    files = (_file(line) for line in lines)
    return tuple(file for file in files if file is not None)


def _file(line: str) -> ListedFile | None:
    found = whole(_FILE, line)
    if found is None or found["month"] not in _MONTHS:
        return None
    year, day, hour, minute, second = (
        int(found[name]) for name in ("year", "day", "hour", "minute", "second")
    )
    month = _MONTHS.index(found["month"]) + 1
    try:
        modified = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    return ListedFile(found["name"].rstrip(), int(found["size"].replace(",", "")), modified)
