"""PURE. Reads time stamps in traces: the first one of a file, and the last one.

A stamp that is not certain is left out. A line without a date gets one only from the header of its
file, and a line without a year only where a single year is possible.

    format      a line                                               (vos/NODES.md, section 7.1)
    SDL         28131995.000 |21:53:46.259 |SdlSig   |...            date and offset: in the header
    SDI         07/21/2006 13:15:39.763 CCM|...
    call log    2018/04/28_15:22:30.912|CC|SETUP|...                 or a blank before the time
    log4j       2019-03-09 13:32:16,109 INFO  [...
    syslog      Nov 25 14:07:12 cucm-pub ...                         no year
    MIVR        7091923: Nov 20 10:43:59.435 EDT %MIVR-...           no year
    CCBU        0000053: 192.0.2.1: Aug 22 2017 16:20:22.241 +0200: %CCBU_...   an offset too

The first line that fits decides which format a file has. Those of the audit application, such as
`01:35:09.934 |LogMessage ...`, fit none: days may lie between two of them, so no date that stands
before one need be its own.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

_DAY = timedelta(days=1)
_FARTHEST = timedelta(hours=14)  # of a local clock from UTC
# A time of day that is earlier than that of the line before: threads write out of order by
# seconds, and a clock is set back by an hour at most. By more: it is of the next day.
_SET_BACK = timedelta(minutes=90)
# Lines of both sides of midnight may be out of order by so much.
_OUT_OF_ORDER = timedelta(minutes=1)
# A stamp without a year that would be in the future: if by less than a day, zones and clocks
# differ; if by more than this, it is of the year before; in between its year is not known.
_SURELY_LAST_YEAR = timedelta(days=31)
# The beginning of a line that is longer than a piece; its stamp is in there.
_LINE = 1024

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
_LINE_OF = {name: re.compile(rb"^" + text, re.MULTILINE) for name, text in _FORMATS.items()}
_ANY_LINE = re.compile(
    rb"^(?:"
    + b"|".join(b"(?P<%s>%s)" % (name.encode(), text) for name, text in _FORMATS.items())
    + rb")",
    re.MULTILINE,
)


class Stamp(msgspec.Struct, frozen=True):
    """Holds a time as a file has it.

    local    by the node's clock, without a zone
    offset   of the node's clock from UTC, in the header of a file or the line; None: not there
    exact    the offset is that of the moment, with summer time
    """

    local: datetime
    offset: timedelta | None = None
    exact: bool = False

    @property
    def moment(self) -> datetime | None:
        """Returns the time in UTC, by the clock that wrote it, where the offset is exact."""
        if not self.exact or self.offset is None:
            return None
        return self.local.replace(tzinfo=UTC) - self.offset


class FirstStamp(msgspec.Struct, frozen=True):
    """Holds the first stamp of a file, and the format that all its lines have."""

    stamp: Stamp
    form: str


def first_stamp(piece: bytes, by: datetime) -> FirstStamp | None:
    """Finds the first stamp in the beginning of a file; None: it has none that is known.

    by   when the file was collected, by the node's clock or in UTC: no stamp is much later
    """
    if b"\0" in piece:  # no text: a capture of packets may have lines of logs in it
        return None
    match = _ANY_LINE.search(piece)
    if match is None or match.lastgroup is None:
        return None
    form = match.lastgroup
    line = _LINE_OF[form].match(piece, match.start())
    stamp = None if line is None else _read(form, line, by)
    return None if stamp is None else FirstStamp(stamp, form)


class LastStamp:
    """Reads a file to its end, piece by piece. `first`: its first stamp.

    lost   its times of day lead out of the time from its first stamp to when it was collected, as
           those of no trace do: it has no last stamp, and need not be read any further
    """

    def __init__(self, first: FirstStamp, by: datetime) -> None:
        self._form = first.form
        self._by = by
        self._rest = b""
        self._first = self._last = first.stamp
        self._seen = False
        self.lost = False

    def feed(self, piece: bytes) -> None:
        lines, newline, rest = (self._rest + piece).rpartition(b"\n")
        self._scan(lines + newline)
        self._rest = rest[:_LINE]

    def end(self) -> Stamp | None:
        """Finds the last stamp; None: none was in what was read. The last line may be cut off."""
        self._scan(self._rest)
        return self._last if self._seen and not self.lost else None

    def _scan(self, lines: bytes) -> None:
        matches: Iterable[re.Match[bytes]] = _LINE_OF[self._form].finditer(lines)
        if self._form == "sdl":
            self._walk(matches)
            return
        for match in deque(matches, maxlen=1):  # each has a date of its own: the last one counts
            self._take(match)

    def _walk(self, matches: Iterable[re.Match[bytes]]) -> None:
        """Follows the times of day over midnight."""
        before: tuple[bytes, ...] = ()
        for match in matches:
            if self.lost:
                return
            if match[4] is not None:
                self._take(match)
            elif (time := match.group(1, 2, 3)) != before:  # most are of the same second
                before = time
                self._follow(*map(int, time))

    def _take(self, match: re.Match[bytes]) -> None:
        if (stamp := _read(self._form, match, self._by)) is not None:
            self._last, self._seen = stamp, True

    def _follow(self, hour: int, minute: int, second: int) -> None:
        time = timedelta(hours=hour, minutes=minute, seconds=second)
        if time < _DAY:
            # Without the header's offset: the clock may have been set since.
            local = _following(self._last.local, time)
            self.lost = not self._first.local - _DAY <= local <= self._by + _DAY
            self._last, self._seen = Stamp(local), True


def _read(form: str, line: re.Match[bytes], by: datetime) -> Stamp | None:
    found = line.groups()
    try:
        match form:
            case "sdl":
                return None if found[3] is None else _header(found)
            case "sdi":
                month, day, year = found[:3]
                return Stamp(_moment((year, month, day), found[3:]))
            case "call_log" | "log4j":
                return Stamp(_moment(found[:3], found[3:]))
            case "ccbu":
                date = found[2], _MONTHS.index(found[0]) + 1, found[1]
                return _with_offset(_moment(date, found[3:6]), *found[6:], exact=True)
            case _:
                return _without_year(found[:2], found[2:], by)
    except ValueError:  # the 31st of November, 25 o'clock
        return None


def _header(found: tuple[bytes, ...]) -> Stamp | None:
    """Reads the stamp in the header of an SDL file. Raises `ValueError`."""
    return _with_offset(_moment(found[6:], found[:3]), *found[3:6])


def _with_offset(
    local: datetime, sign: bytes, hours: bytes, minutes: bytes, *, exact: bool = False
) -> Stamp | None:
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > _FARTHEST:
        return None
    return Stamp(local, -offset if sign == b"-" else offset, exact)


def _moment(date: Iterable[bytes | int], time: Iterable[bytes]) -> datetime:
    """Raises `ValueError` for what is no time, or is none of an appliance."""
    year, month, day = map(int, date)
    hour, minute, second = map(int, time)
    if not 2000 <= year < 2100:
        raise ValueError(year)
    return datetime(year, month, day, hour, minute, min(second, 59))  # 60: a leap second


def _without_year(date: tuple[bytes, ...], time: tuple[bytes, ...], by: datetime) -> Stamp | None:
    month, day = _MONTHS.index(date[0]) + 1, int(date[1])
    for year in (by.year + 1, by.year, by.year - 1):
        try:
            local = _moment((year, month, day), time)
        except ValueError:  # the 29th of February
            continue
        later = local - by
        if later <= _DAY:
            return Stamp(local)
        if later < _SURELY_LAST_YEAR:
            return None
    return None


def _following(before: datetime, time: timedelta) -> datetime:
    """Returns the moment at that time of day, on the day of the line before or on the next."""
    midnight = before.replace(hour=0, minute=0, second=0)
    passed = before - midnight
    if passed - time > _SET_BACK:
        return midnight + _DAY + time
    if passed < _OUT_OF_ORDER and _DAY - time <= _OUT_OF_ORDER:
        return midnight - _DAY + time
    return midnight + time
