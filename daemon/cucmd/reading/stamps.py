"""PURE. Reads time stamps in traces: the first one of a file, the last one, and that of any line.

A stamp is left out if it is not certain. A line without a date gets its date only from the header
of its file, and a line without a year gets one only if a single year is possible.

    format      a line                                               (vos/NODES.md, section 7.1)
    SDL         28131995.000 |21:53:46.259 |SdlSig   |...            date and offset: in the header
    SDI         07/21/2006 13:15:39.763 CCM|...
    call log    2018/04/28_15:22:30.912|CC|SETUP|...                 or a blank before the time
    log4j       2019-03-09 13:32:16,109 INFO  [...
    syslog      Nov 25 14:07:12 cucm-pub ...                         no year
    MIVR        7091923: Nov 20 10:43:59.435 EDT %MIVR-...           no year
    CCBU        0000053: 192.0.2.1: Aug 22 2017 16:20:22.241 +0200: %CCBU_...   an offset too

The first line that fits a format decides the format of the file. Lines of the audit application,
such as `01:35:09.934 |LogMessage ...`, have no format here: days may lie between two such lines, so
an earlier date in the file need not be the date of the line.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

_DAY = timedelta(days=1)
_CENTURY = range(2000, 2100)  # the years that a stamp can have
_LARGEST_OFFSET = timedelta(hours=14)  # the largest offset of a local clock from UTC
# A time of day can be earlier than that of the line before. Threads write out of order by seconds,
# and a clock is set back by an hour at most. If the difference is larger, the line is of the next
# day.
_LARGEST_SET_BACK = timedelta(minutes=90)
# Lines from both sides of midnight may be out of order by this much.
_OUT_OF_ORDER = timedelta(minutes=1)
# A stamp without a year may seem to lie in the future. If it is ahead by less than a day, the
# reason may be another zone or a wrong clock. If it is ahead by more than this, the stamp is from
# the year before. In between, its year is not known.
_SURELY_LAST_YEAR = timedelta(days=31)
# Bytes of a trace that are written within a day. (A node writes as much within minutes.)
_NO_MIDNIGHT = 64 * 1024
# Bytes that are kept of a line that does not end within a piece. They include the stamp.
_LONGEST_LINE = 1024

_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_TIME = rb"(\d\d):(\d\d):(\d\d)"
_NAME = rb"(" + b"|".join(_MONTHS) + rb") ([ \d]?\d)"

_FORMATS = {
    "sdl": rb"\d{7,12}\.\d{3} ?\|" + _TIME + rb"\.\d{3} \|(?:FileHead +\|"
    rb"UTC: ?([+-])(\d\d):(\d\d), ?Date: ?(\d{4})/(\d\d)/(\d\d),)?",
    "sdi": rb"(\d\d)/(\d\d)/(\d{4}) " + _TIME + rb"\.\d{3} [A-Za-z]{2,16}\|",
    "call_log": rb"(\d{4})/(\d\d)/(\d\d)[ _]" + _TIME + rb"\.\d{3}\|",
    "log4j": rb"(\d{4})-(\d\d)-(\d\d) " + _TIME + rb",\d{3} ",
    "syslog": _NAME + b" " + _TIME + rb" [\w.:-]",
    "ccbu": rb"(?:\d{1,12}:(?: [\w.:-]{1,64})?: )?" + _NAME + rb" (\d{4}) " + _TIME + rb"\.\d{3} "
    rb"([+-])(\d\d)(\d\d): %[A-Z]",
    "mivr": rb"\d{1,12}: " + _NAME + b" " + _TIME + rb"\.\d{3} [A-Z]{2,5} %[A-Z]",
}
# The number of the group with the seconds. Most formats have milliseconds behind it.
_SECONDS = {"sdl": 3, "sdi": 6, "call_log": 6, "log4j": 6, "syslog": 5, "ccbu": 6, "mivr": 5}
_LINE_OF = {name: re.compile(rb"^" + text, re.MULTILINE) for name, text in _FORMATS.items()}
_ANY_LINE = re.compile(
    rb"^(?:"
    + b"|".join(b"(?P<%s>%s)" % (name.encode(), text) for name, text in _FORMATS.items())
    + rb")",
    re.MULTILINE,
)


class Stamp(msgspec.Struct, frozen=True):
    """Holds a time that a file contains.

    local   the time by the node's clock, without a zone
    offset  the offset of the node's clock from UTC, if the line or the header of the file has it
    exact   whether the offset is the one of that moment, with summer time
    """

    local: datetime
    offset: timedelta | None = None
    exact: bool = False

    @property
    def moment(self) -> datetime | None:
        """Returns the time in UTC, or None if the offset is not exact."""
        if not self.exact or self.offset is None:
            return None
        return self.local.replace(tzinfo=UTC) - self.offset


class FirstStamp(msgspec.Struct, frozen=True):
    """Holds the first stamp of a file, and the format that all its lines have."""

    stamp: Stamp
    format_name: str


def first_stamp(piece: bytes, by: datetime) -> FirstStamp | None:
    """Returns the first stamp in the beginning of a file, or None if no stamp is in a known format.

    by: when the file was collected, by the node's clock or in UTC.
    """
    if b"\0" in piece:  # not text, such as a capture of packets with log lines in it
        return None
    match = _ANY_LINE.search(piece)
    if match is None or match.lastgroup is None:
        return None
    format_name = match.lastgroup
    line = _LINE_OF[format_name].match(piece, match.start())
    stamp = None if line is None else _parse_stamp(format_name, line, by)
    return None if stamp is None else FirstStamp(stamp, format_name)


class LastStamp:
    """Finds the last stamp of a file that is fed piece by piece.

    is_lost: a stamp was more than a day before the first one or after the collection. No real trace
    has such a stamp. Then the file has no last stamp, and need not be read any further.
    """

    def __init__(self, first: FirstStamp, by: datetime) -> None:
        self._form = first.format_name
        self._by = by
        self._unfinished_line = b""
        self._first = self._last = first.stamp
        self._seen = False
        self.is_lost = False

    def feed(self, piece: bytes) -> None:
        lines, newline, rest = (self._unfinished_line + piece).rpartition(b"\n")
        self._scan(lines + newline)
        self._unfinished_line = rest[:_LONGEST_LINE]

    def end(self) -> Stamp | None:
        """Returns the last stamp, or None. The last line of the file may be cut off."""
        self._scan(self._unfinished_line)
        return self._last if self._seen and not self.is_lost else None

    def _scan(self, lines: bytes) -> None:
        matches: Iterable[re.Match[bytes]] = _LINE_OF[self._form].finditer(lines)
        if self._form != "sdl":
            matches = deque(matches, maxlen=1)  # each line has a date, so only the last one counts
        before: tuple[bytes, ...] = ()
        for match in matches:
            if self._form != "sdl" or match[4] is not None:
                if (stamp := _parse_stamp(self._form, match, self._by)) is not None:
                    self._last, self._seen = stamp, True
                continue
            # A time of day without a date: count the midnights since the last date. Most lines are
            # of the same second as the line before.
            time = match.group(1, 2, 3)
            if time == before:
                continue
            before = time
            hour, minute, second = map(int, time)
            since_midnight = timedelta(hours=hour, minutes=minute, seconds=second)
            if since_midnight < _DAY:
                # Drop the offset of the header: the clock may have been changed after the header
                # was written.
                local = _next_at(self._last.local, since_midnight)
                self._last, self._seen = Stamp(local), True
                self.is_lost = not self._first.local - _DAY <= local <= self._by + _DAY
                if self.is_lost:
                    return


class LineTimes:
    """Finds the times of lines of a file whose pieces are read in order.

    A line without a stamp has the time of the nearest line before that has one. Times are
    milliseconds since 1970. A stamp that the node's clock shows twice, because the clock was set
    back, is taken for the moment that keeps the order of the file.

    latest: the time of the last stamp that was read. None if the stamps mean no moment, because
    neither the zone nor an offset is known.
    """

    def __init__(self, first: FirstStamp, by: datetime, zone: tzinfo | None) -> None:
        self._form = first.format_name
        self._by = by
        self._zone = zone
        self._offset = first.stamp.offset
        self._piece = b""
        self._read_to = 0  # the stamps before this position of the piece were read
        self._local = first.stamp.local
        self._groups: tuple[bytes | None, ...] = ()
        self._second: int | None = None  # milliseconds
        self._second = self.latest = self._moment(first.stamp)

    def begin_piece(self, piece: bytes) -> None:
        """Begins a piece of whole lines. Reads the rest of the piece before, for its midnights."""
        self.at(len(self._piece))
        self._piece, self._read_to = piece, 0

    def at(self, position: int) -> int | None:
        """Returns the time of the line with that position in the piece. Positions must grow."""
        piece, pattern, after = self._piece, _LINE_OF[self._form], self._read_to
        # Lines without a date: a midnight is counted only if stamps before and after it are read.
        at = after
        while self._form == "sdl" and position - at > _NO_MIDNIGHT:
            if (stamp := pattern.search(piece, at, position)) is None:
                break
            self._read(stamp)
            after, at = stamp.start() + 1, stamp.start() + _NO_MIDNIGHT
        start = line = piece.rfind(b"\n", 0, position) + 1
        while start >= after:
            if stamp := pattern.match(piece, start):
                self._read(stamp)
                break
            if not start:
                break
            start = piece.rfind(b"\n", 0, start - 1) + 1
        self._read_to = max(self._read_to, line + 1)
        return self.latest

    def _read(self, stamp: re.Match[bytes]) -> None:
        groups = stamp.groups()
        if groups != self._groups:
            found = _parse_stamp(self._form, stamp, self._by)
            if found is None and self._form == "sdl":
                hour, minute, second = map(int, groups[:3])
                time = timedelta(hours=hour, minutes=minute, seconds=second)
                found = Stamp(_next_at(self._local, time)) if time < _DAY else None
            if found is None or found.local.year >= _CENTURY.stop:
                return
            self._groups, self._local = groups, found.local
            self._second = self._moment(found)
        end = stamp.end(_SECONDS[self._form])
        digits = stamp.string[end + 1 : end + 4]
        if self._second is not None:
            has_digits = stamp.string[end : end + 1] in (b".", b",") and digits.isdigit()
            self.latest = self._second + (int(digits) if has_digits else 0)

    def _moment(self, stamp: Stamp) -> int | None:
        if stamp.moment is not None:
            moment = stamp.moment
        elif self._zone is not None:
            moment = stamp.local.replace(tzinfo=self._zone).astimezone(UTC)
            later = stamp.local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
            if moment < later and self._second is not None:
                before = datetime.fromtimestamp(self._second / 1000, UTC)
                moment = later if moment < before - _OUT_OF_ORDER else moment
        elif self._offset is not None:
            moment = stamp.local.replace(tzinfo=UTC) - self._offset
        else:
            return None
        return int(moment.timestamp()) * 1000


def last_stamp_before(tail: bytes, first: FirstStamp, following: Stamp) -> Stamp | None:
    """Returns the last stamp of an SDL file, or None if its end does not tell the day.

    tail       the end of the file; its lines have a time of day, and no date
    first      the first stamp of the file
    following  the first stamp of the next file, before which the last line was written
    """
    times = [match.group(1, 2, 3) for match in _LINE_OF["sdl"].finditer(tail)]
    if not times:
        return None
    hour, minute, second = map(int, times[-1])
    since_midnight = timedelta(hours=hour, minutes=minute, seconds=second)
    begin, end = first.stamp.local - _OUT_OF_ORDER, following.local + _LARGEST_SET_BACK
    day = begin.replace(hour=0, minute=0, second=0)
    found = [day + since_midnight + number * _DAY for number in range((end - day).days + 1)]
    found = [local for local in found if begin <= local <= end]
    return Stamp(found[0]) if len(found) == 1 and since_midnight < _DAY else None


def _parse_stamp(format_name: str, line: re.Match[bytes], by: datetime) -> Stamp | None:
    groups = line.groups()
    try:
        match format_name:
            case "sdl":
                has_date = groups[3] is not None  # as the header of the file has
                header = groups[6:], groups[:3]
                return _with_offset(_moment(*header), *groups[3:6]) if has_date else None
            case "sdi":
                month, day, year = groups[:3]
                return Stamp(_moment((year, month, day), groups[3:]))
            case "call_log" | "log4j":
                return Stamp(_moment(groups[:3], groups[3:]))
            case "ccbu":
                date = groups[2], _MONTHS.index(groups[0]) + 1, groups[1]
                return _with_offset(_moment(date, groups[3:6]), *groups[6:], exact=True)
            case _:
                return _without_year(groups[:2], groups[2:], by)
    except ValueError:  # such as the 31st of November, or 25 o'clock
        return None


def _with_offset(
    local: datetime, sign: bytes, hours: bytes, minutes: bytes, *, exact: bool = False
) -> Stamp | None:
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > _LARGEST_OFFSET:
        return None
    return Stamp(local, -offset if sign == b"-" else offset, exact)


def _moment(date: Iterable[bytes | int], time: Iterable[bytes]) -> datetime:
    """Returns the time. Raises `ValueError` if it does not exist, or is not in this century."""
    year, month, day = map(int, date)
    hour, minute, second = map(int, time)
    if year not in _CENTURY:
        raise ValueError(year)
    return datetime(year, month, day, hour, minute, min(second, 59))  # 60 is a leap second


def _without_year(date: tuple[bytes, ...], time: tuple[bytes, ...], by: datetime) -> Stamp | None:
    month, day = _MONTHS.index(date[0]) + 1, int(date[1])
    for year in (by.year + 1, by.year, by.year - 1):
        try:
            local = _moment((year, month, day), time)
        except ValueError:  # no 29th of February in that year
            continue
        later = local - by
        if later <= _DAY:
            return Stamp(local)
        if later < _SURELY_LAST_YEAR:
            return None
    return None


def _next_at(before: datetime, time: timedelta) -> datetime:
    """Returns the moment at that time of day, on the day of the line before or on the day after."""
    midnight = before.replace(hour=0, minute=0, second=0)
    passed = before - midnight
    if passed - time > _LARGEST_SET_BACK:
        return midnight + _DAY + time
    if passed < _OUT_OF_ORDER and _DAY - time <= _OUT_OF_ORDER:
        return midnight - _DAY + time
    return midnight + time
