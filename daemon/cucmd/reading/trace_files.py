"""PURE. Describes a trace and its files, and says what the names of the files tell.

The names of the files of one trace differ only in numbers and dates. If these differ by
at most one from a file to the next, no file is missing between the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime

import msgspec

from cucmd.reading.stamps import FirstStamp, Stamp

_NUMBERS = re.compile(r"[._-]?\d+(?:[._-]\d+)*")
# The number is the one that the receiver adds to a second file of the same name (`with_number`).
_ENDING = re.compile(r"\.gzo?(?:\.\d{1,3})?$")
_NUMBER = re.compile(r"[._-]?(\d+)")
_DATE = re.compile(r"[._-]?(\d{4})-?(\d\d)-?(\d\d)\D*$")


class TraceFile(msgspec.Struct):
    """Describes a file of a trace.

    name   its path on the node
    first  its first stamp
    end    its last stamp. None if it was not read to its end, or has no last stamp
    path   for reading it again; "" if this is not possible
    """

    name: str
    first: FirstStamp
    end: Stamp | None = None
    path: str = ""


def _begin_of(file: TraceFile) -> datetime:
    return file.first.stamp.local


def local_time(stamp: Stamp) -> datetime:
    """Returns the time that the node wrote. This is a key for sorting."""
    return stamp.local


class Trace(msgspec.Struct):
    """Describes one trace, such as all SDL files of a service.

    files       the files with a known stamp
    unknown     how many other files have no stamp in a known form
    partial     whether files that could not be read may have more of this trace
    file        the name of one of the files
    """

    name: str
    files: list[TraceFile] = []
    unknown: int = 0
    partial: bool = False
    file: str = ""

    @property
    def begin(self) -> Stamp | None:
        """Returns the first stamp."""
        first = min(self.files, key=_begin_of, default=None)
        return None if first is None else first.first.stamp

    @property
    def end(self) -> Stamp | None:
        """Returns the last stamp, or None if the end of the newest file is not known."""
        files = sorted(self.files, key=_begin_of)
        if not files or files[-1].end is None:
            return None
        return max((file.end for file in files if file.end is not None), key=local_time)

    def series(self) -> list[list[TraceFile]]:
        """Returns the files whose names differ only in the last number, in the order of time."""
        found: dict[str, list[TraceFile]] = {}
        for file in sorted(self.files, key=_begin_of):
            found.setdefault(_split_number(file.name)[0], []).append(file)
        return list(found.values())

    def files_to_end(self) -> Iterator[tuple[TraceFile, TraceFile | None]]:
        """Yields each file whose last stamp is needed, and the file that follows, if there is one.

        This is the last file of each series, and each file that the next does not follow by name.
        """
        for files in self.series():
            for file, following in zip(files, (*files[1:], None), strict=True):
                if following is None or not follow_each_other(file.name, following.name):
                    yield file, following


def trace_name(path: str) -> str:
    """Returns the name that all files of a trace share: folder and name without numbers."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + _NUMBERS.sub("*", _ENDING.sub("", name)).rstrip("*")


def _split_number(name: str) -> tuple[str, int]:
    """Returns the name with "*" for its last number or date, and the number or the day.

    A name without a number has the number 0: `messages.1` is the file before `messages`.
    """
    folder, slash, file = name.rpartition("/")
    file = _ENDING.sub("", file)
    found, number = _DATE.search(file), 0
    with suppress(ValueError):  # a number of eight digits that is no date
        number = date(*map(int, found.groups())).toordinal() if found else 0
    if not number and (numbers := list(_NUMBER.finditer(file))):
        found, number = numbers[-1], int(numbers[-1][1])
    if found is not None:
        file = f"{file[: found.start()]}*{file[found.end() :]}".rstrip("*")
    return folder + slash + file, number


def follow_each_other(name: str, other: str) -> bool:
    """Returns whether the names show that no file is missing between two files of a series."""
    return abs(_split_number(name)[1] - _split_number(other)[1]) <= 1
