"""PURE. Says what the traces of a node cover of the window that was asked for.

It never guesses. A time that can be two moments, because the clock was set back or its zone is not
known, counts as both: what holds for only one of them is unknown.

    first stamp     at or before the start of the window    covers it
                    after it                                begins then
    last stamp      at or after the end of the window       covers it
                    before it                               ends then
    either can be   both                                    unknown

Why a trace begins later is not said: the node may have nothing older, or it was started then. Where
one ends before the end of the window, or of a path nothing came, the files may have been written to
for longer than the node was asked for: which `written_for` would bring these is said. Whether
something is missing in the middle is not looked at.

The words (in_words.py) have the times of the node's clock. Gaps and extent have them as moments,
for whoever shows them in another zone, where a time is one moment for certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase

import msgspec

from cucmd.job.coverage import Extent, Gap
from cucmd.reading.stamps import Stamp

# Nodes are asked for whole minutes.
_MINUTE = timedelta(minutes=1)
# Local clocks are between 12 hours behind UTC and 14 ahead of it.
_FARTHEST_BEHIND, _FARTHEST_AHEAD = timedelta(hours=12), timedelta(hours=14)
# Whether the offset in a header includes summer time is not known (vos/NODES.md, section 7.1).
_SUMMER_TIME = timedelta(hours=1)
_SUMMER_OR_NOT = (timedelta(), timedelta(minutes=30), _SUMMER_TIME)
# Traces that are named in one text.
MOST_NAMED = 3
_LONGEST_NAME = 80

_NUMBERS = re.compile(r"[._-]?\d+(?:[._-]\d+)*")
_ENDING = re.compile(r"\.gzo?$")


class Span(msgspec.Struct, frozen=True):
    """Says what was asked for; None: from the beginning, or to the end."""

    since: datetime | None = None
    until: datetime | None = None


class Clock(msgspec.Struct, frozen=True):
    """Describes the node's clock. `zone` None: not known. `ahead`: of ours."""

    zone: tzinfo | None = None
    ahead: timedelta = timedelta()


class Trace(msgspec.Struct):
    """Holds the files of one trace, such as all SDL files of a service. `begin` to `end` is in
    them.

    unknown     how many of them have no stamp that is known
    partial     more of them may be in what could not be read
    file        the name of one of them
    last_begin  where the last of them begins
    """

    name: str
    begin: Stamp | None = None
    end: Stamp | None = None
    unknown: int = 0
    partial: bool = False
    file: str = ""
    last_begin: Stamp | None = None


class Paths:
    """Holds the paths of a collection, and finds those that a file was got for."""

    def __init__(self, paths: Sequence[str], *, recurs: bool = False) -> None:
        self._count = len(paths)
        self._recurs = recurs
        # Folder -> (position of the path, pattern for names).
        self._in: dict[str, list[tuple[int, str]]] = {}
        for position, path in enumerate(paths):
            spec = "/".join(part for part in path.split("/") if part)
            folder, _, name = spec.rpartition("/")
            self._in.setdefault(folder, []).append((position, name))
            if "*" not in name:  # it may be a folder
                self._in.setdefault(spec, []).append((position, "*"))
        self._deepest = max((folder.count("/") + 1 for folder in self._in), default=0)

    def of(self, file: str) -> set[int]:
        """Finds their positions; none if a node has other names than known (vos/NODES.md, 5.6)."""
        if self._count == 1:
            return {0}
        folder, _, name = file.rpartition("/")
        folders = {folder}
        if self._recurs:  # not each of its folders: a node can make them as deep as a name is long
            parts = folder.split("/", self._deepest)[: self._deepest]
            folders.update("/".join(parts[:depth]) for depth in range(len(parts) + 1))
        return {
            position
            for one in folders
            for position, pattern in self._in.get(one, ())
            if fnmatchcase(name, pattern)
        }


class PathFound(msgspec.Struct, frozen=True):
    """Says what has come of one path.

    traces  None: no file
    longer  the `written_for` with which later files come; None: there are none
    """

    path: str
    traces: Sequence[Trace] | None
    longer: str | None = None


def gaps_of(paths: Iterable[PathFound], window: Span, clock: Clock) -> tuple[Gap, ...]:
    """Finds what is not there for certain, in the order of the paths."""
    found: list[Gap] = []
    for one in paths:
        if one.traces is None:
            found.append(Gap(one.path, "all", one.longer))
            continue
        known = judge(one.traces, window, clock)
        begins = max(known, key=lambda judged: judged.begins, default=None)
        if begins is not None and begins.begins:
            at = _moment(begins.first, clock)
            name = _of_several(begins, one.traces)
            found.append(Gap(one.path, "begin", None, begins.begins, at, name))
        ends = max(known, key=lambda judged: judged.ends, default=None)
        if ends is not None and ends.ends:
            at = _moment(ends.last, clock)
            name = _of_several(ends, one.traces)
            found.append(Gap(one.path, "end", one.longer, ends.ends, at, name))
    return tuple(found)


def _of_several(judged: Judged, traces: Sequence[Trace]) -> str | None:
    return shown_name(judged.name) if len(traces) > 1 else None


def extent_of(
    traces: Sequence[Trace],
    window: Span,
    clock: Clock,
    unread: int = 0,
    gaps: Sequence[Gap] = (),
) -> Extent | None:
    """Says the same as `describe`, as far as fields can; None: what is covered is not known."""
    known = judge(traces, window, clock)
    besides = not_known(traces, unread)
    if any(begin_after(traces, window, clock)):
        besides.append("newer files came too")
    if gaps:
        if unclear := [one.name for one in known if one.unclear]:
            besides.insert(0, f"what there is of {few(unclear)} is not known")
        return Extent(besides=tuple(besides))
    if not known or not all(one.covers for one in known):
        return None
    first, last = reach(known)
    since, until = window.since or _moment(first, clock), window.until or _moment(last, clock)
    if since is None or until is None:
        return None
    return Extent(since, until, tuple(besides))


def trace_name(path: str) -> str:
    """Returns what the files of one trace have in common: folder and name without numbers."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + _NUMBERS.sub("*", _ENDING.sub("", name)).rstrip("*")


class Judged(msgspec.Struct, frozen=True):
    """Says how much of the window a trace lacks. `begins`, `ends`: seconds of it that are missing
    before and behind the trace, at least; 0: none. `unclear`: cannot be told.
    """

    name: str
    first: Stamp
    last: Stamp
    begins: int
    ends: int
    unclear: bool

    @property
    def covers(self) -> bool:
        return not (self.begins or self.ends or self.unclear)


def judge(traces: Iterable[Trace], window: Span, clock: Clock) -> list[Judged]:
    """Judges those of which a stamp is known."""
    return [
        _judge_one(trace, _shown(trace.begin, clock), window, clock)
        for trace in traces
        if trace.begin
    ]


def _judge_one(trace: Trace, first: Stamp, window: Span, clock: Clock) -> Judged:
    last = first if trace.end is None else _shown(trace.end, clock)
    begins = ends = 0
    unclear = False
    if window.since is not None:
        late = _is_later(first, window.since + _MINUTE, clock)
        if late:
            # The seconds of the window before a stamp that is in it or after it.
            earliest, _ = readings(first, clock) or (window.since, window.since)
            end = earliest if window.until is None else min(earliest, window.until)
            begins = int((end - window.since).total_seconds())
        unclear = late is None
    if window.until is not None:
        reached = None if trace.end is None else _is_later(last, window.until - _MINUTE, clock)
        if reached is False:
            # The seconds of the window behind a stamp that is in it or before it.
            _, latest = readings(last, clock) or (window.until, window.until)
            begin = latest if window.since is None else max(latest, window.since)
            ends = int((window.until - begin).total_seconds())
        unclear = unclear or reached is None
    # What is missing may be in the files that could not be read.
    if (trace.unknown or trace.partial) and (begins or ends):
        begins, ends, unclear = 0, 0, True
    return Judged(trace.name, first, last, begins, ends, unclear)


def _shown(stamp: Stamp, clock: Clock) -> Stamp:
    """Returns it as the node's clock has it: a process may write the times of another zone."""
    if stamp.moment is None or clock.zone is None:
        return stamp
    shown = stamp.moment.astimezone(clock.zone)
    return Stamp(shown.replace(tzinfo=None, fold=0), shown.utcoffset(), exact=True)


def _is_later(stamp: Stamp, than: datetime, clock: Clock) -> bool | None:
    """Says whether the stamp is at `than` or later; None: it can be both."""
    possible = readings(stamp, clock)
    if possible is None:
        return None
    earliest, latest = possible
    if earliest >= than:
        return True
    return False if latest < than else None


def readings(stamp: Stamp, clock: Clock) -> tuple[datetime, datetime] | None:
    """Returns the earliest and the latest moment that a stamp can mean, in UTC.

    None: the clock never shows that time. If the clock is wrong, it may have been right when the
    stamp was written.
    """
    if stamp.moment is not None:
        earliest = latest = stamp.moment
    elif clock.zone is not None:
        found = _in_zone(stamp, clock.zone)
        if not found:
            return None
        earliest, latest = min(found), max(found)
    else:
        local = stamp.local.replace(tzinfo=UTC)
        if stamp.offset is not None:
            earliest = local - stamp.offset - _SUMMER_TIME
            latest = local - stamp.offset + _SUMMER_TIME
        else:
            earliest, latest = local - _FARTHEST_AHEAD, local + _FARTHEST_BEHIND
    return min(earliest, earliest - clock.ahead), max(latest, latest - clock.ahead)


def _moment(stamp: Stamp, clock: Clock) -> datetime | None:
    """Says what the stamp means by the node's clock as it is set; None: that is not one moment."""
    if stamp.moment is not None:
        return stamp.moment
    found = set() if clock.zone is None else _in_zone(stamp, clock.zone)
    return found.pop() if len(found) == 1 else None


def _in_zone(stamp: Stamp, zone: tzinfo) -> set[datetime]:
    """Finds the moments at which a clock of that zone shows the time: none, one, or two.

    The offset in a header does not tell which of two: it may be without summer time. None of them
    where it is of another zone, as in a file from before the node's zone was changed.
    """
    found = set()
    for fold in (0, 1):
        utc = stamp.local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        shown = utc.astimezone(zone)
        if shown.replace(tzinfo=None, fold=0) != stamp.local:
            continue
        if (
            stamp.offset is None
            or (shown.utcoffset() or timedelta()) - stamp.offset in _SUMMER_OR_NOT
        ):
            found.add(utc)
    return found


def begin_after(traces: Iterable[Trace], window: Span, clock: Clock) -> list[Stamp]:
    """Returns the last stamp of each trace whose last file begins after the window."""
    if (until := window.until) is None:
        return []
    return [
        _shown(trace.end or trace.last_begin, clock)
        for trace in traces
        if trace.last_begin is not None and _is_later(trace.last_begin, until + _MINUTE, clock)
    ]


def not_known(traces: Iterable[Trace], unread: int) -> list[str]:
    """Says how many files say nothing of what is covered."""
    said = []
    if unknown := sum(trace.unknown for trace in traces):
        files = "1 file has" if unknown == 1 else f"{unknown} files have"
        said.append(f"{files} no time stamps that are known")
    if unread:
        said.append(f"{'1 file' if unread == 1 else f'{unread} files'} could not be read")
    return said


def few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if names[MOST_NAMED:] else ""
    return ", ".join(map(shown_name, names[:MOST_NAMED])) + more


def shown_name(name: str) -> str:
    """Shows a name of the node's, which can have any characters, and be of any length."""
    name = name if len(name) <= _LONGEST_NAME else f"...{name[-_LONGEST_NAME:]}"
    return "".join(character if character.isprintable() else "?" for character in name)


def reach(known: Sequence[Judged]) -> tuple[Stamp, Stamp]:
    """Finds the first and the last stamp, by the node's clock."""
    first = min((one.first for one in known), key=lambda stamp: stamp.local)
    return first, max((one.last for one in known), key=lambda stamp: stamp.local)
