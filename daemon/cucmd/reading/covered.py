"""PURE. What the traces of a node cover of the window that was asked for, in words.

Never a guess. A time that can be two moments, because the clock was set back or its zone is not
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
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase

import msgspec

from cucmd.job.collect import Gap
from cucmd.job.duration import parse_written_for
from cucmd.reading.stamps import Stamp

# Nodes are asked for whole minutes.
_MINUTE = timedelta(minutes=1)
# Local clocks are between 12 hours behind UTC and 14 ahead of it.
_FARTHEST_BEHIND, _FARTHEST_AHEAD = timedelta(hours=12), timedelta(hours=14)
# Whether the offset in a header includes summer time is not known (vos/NODES.md, section 7.1).
_SUMMER_TIME = timedelta(hours=1)
_SUMMER_OR_NOT = (timedelta(), timedelta(minutes=30), _SUMMER_TIME)
# Traces that are named in one text.
_MOST_NAMED = 3
_LONGEST_NAME = 80

_NUMBERS = re.compile(r"[._-]?\d+(?:[._-]\d+)*")
_ENDING = re.compile(r"\.gzo?$")


class Span(msgspec.Struct, frozen=True):
    """What was asked for; None: from the beginning, or to the end."""

    since: datetime | None = None
    until: datetime | None = None


class Clock(msgspec.Struct, frozen=True):
    """The node's clock. `zone` None: not known. `ahead`: of ours."""

    zone: tzinfo | None = None
    ahead: timedelta = timedelta()


class Trace(msgspec.Struct):
    """The files of one trace, such as all SDL files of a service. `begin` to `end` is in them.

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
    """The paths of a collection: finds those that a file was got for."""

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
        """Their positions; none if the node has other names than is known (vos/NODES.md, 5.6)."""
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
    """What has come of one path.

    traces  None: no file
    longer  the `written_for` with which later files come; None: there are none
    """

    path: str
    traces: Sequence[Trace] | None
    longer: str | None = None


def gaps_of(paths: Iterable[PathFound], window: Span, clock: Clock) -> tuple[Gap, ...]:
    """What is not there for certain, in the order of the paths."""
    found: list[Gap] = []
    for one in paths:
        if one.traces is None:
            found.append(Gap(one.path, "all", one.longer))
            continue
        known = [_judge(trace, window, clock) for trace in one.traces if trace.begin is not None]
        if any(judged.begins for judged in known):
            found.append(Gap(one.path, "begin"))
        if any(judged.ends for judged in known):
            found.append(Gap(one.path, "end", one.longer))
    return tuple(found)


def trace_name(path: str) -> str:
    """What the files of one trace have in common: folder and name without numbers."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + _NUMBERS.sub("*", _ENDING.sub("", name)).rstrip("*")


def describe(
    traces: Sequence[Trace],
    window: Span,
    clock: Clock,
    unread: int = 0,
    gaps: Sequence[Gap] = (),
) -> str:
    """One line about a node: "covers 13:00 to 15:00 (Europe/Berlin)". Empty without files and gaps.

    unread  how many files there are besides, which could not be read
    """
    unknown = sum(trace.unknown for trace in traces)
    known = [_judge(trace, window, clock) for trace in traces if trace.begin is not None]
    parts = [_of_known(known, window, clock)] if known else []
    if unknown:
        files = "1 file has" if unknown == 1 else f"{unknown} files have"
        parts.append(f"{files} no time stamps that are known")
    if unread:
        parts.append(f"{'1 file' if unread == 1 else f'{unread} files'} could not be read")
    if parts and not known:
        parts[0] = f"unknown: {parts[0]}"
    return "; ".join([*parts, *_newer(traces, window, clock), *_missing(gaps)])


class _Judged(msgspec.Struct, frozen=True):
    """`begins`, `ends`: within the window, then. `unclear`: cannot be told."""

    name: str
    first: datetime
    last: datetime
    begins: bool
    ends: bool
    unclear: bool

    @property
    def covers(self) -> bool:
        return not (self.begins or self.ends or self.unclear)


def _judge(trace: Trace, window: Span, clock: Clock) -> _Judged:
    assert trace.begin is not None
    last = trace.end or trace.begin
    begins = ends = unclear = False
    if window.since is not None:
        late = _is_later(trace.begin, window.since + _MINUTE, clock)
        begins, unclear = late is True, late is None
    if window.until is not None:
        reached = None if trace.end is None else _is_later(last, window.until - _MINUTE, clock)
        ends, unclear = reached is False, unclear or reached is None
    # What is missing may be in the files that could not be read.
    if (trace.unknown or trace.partial) and (begins or ends):
        begins, ends, unclear = False, False, True
    return _Judged(trace.name, trace.begin.local, last.local, begins, ends, unclear)


def _is_later(stamp: Stamp, than: datetime, clock: Clock) -> bool | None:
    """Whether the stamp is at `than` or later; None: it can be both."""
    possible = readings(stamp, clock)
    if possible is None:
        return None
    earliest, latest = possible
    if earliest >= than:
        return True
    return False if latest < than else None


def readings(stamp: Stamp, clock: Clock) -> tuple[datetime, datetime] | None:
    """The earliest and the latest moment that a stamp can mean, in UTC.

    None: the clock never shows that time. If the clock is wrong, it may have been right when the
    stamp was written.
    """
    if clock.zone is not None:
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


def _in_zone(stamp: Stamp, zone: tzinfo) -> set[datetime]:
    """The moments at which a clock of that zone shows the time: none, one, or two.

    The offset in a header does not tell which of two: it may be without summer time. None of them
    where it is of another zone, as in a file from before the node's zone was changed.
    """
    found = set()
    for fold in (0, 1):
        utc = stamp.local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        shown = utc.astimezone(zone)
        if shown.replace(tzinfo=None, fold=0) == stamp.local and _fits(shown, stamp.offset):
            found.add(utc)
    return found


def _fits(shown: datetime, offset: timedelta | None) -> bool:
    return offset is None or (shown.utcoffset() or timedelta()) - offset in _SUMMER_OR_NOT


# The words


def _of_known(known: Sequence[_Judged], window: Span, clock: Clock) -> str:
    if window.since is None and window.until is None:
        span = (min(one.first for one in known), max(one.last for one in known))
        shown = _Times([*span], clock)
        return f"from {shown.of(span[0])} to {shown.of(span[1])}{shown.zone}"
    others = [one for one in known if not one.covers]
    if all(one.unclear for one in known):
        return _unclear(known, clock)
    bounds = _bounds(known, window, clock)
    named = others[:_MOST_NAMED]
    moments = [one.first for one in named if one.begins] + [one.last for one in named if one.ends]
    shown = _Times([*bounds, *moments], clock)
    said = [_of_one(one, shown, alone=len(known) == 1) for one in named]
    if len(others) > len(named):
        said.append(f"and {len(others) - len(named)} more")
    if len(others) == len(known):
        return "; ".join(said) + shown.zone
    covered = _window(bounds, shown, window)
    return f"covers {covered}, but {'; '.join(said)}" if said else f"covers {covered}"


def _newer(traces: Sequence[Trace], window: Span, clock: Clock) -> list[str]:
    """That files came that begin after the window: they had changed by as much as was asked for."""
    if (until := window.until) is None:
        return []
    last = [
        (trace.end or trace.last_begin).local
        for trace in traces
        if trace.last_begin is not None and _is_later(trace.last_begin, until + _MINUTE, clock)
    ]
    if not last:
        return []
    bounds = [] if clock.zone is None else [_local(until, clock.zone)]
    return [f"newer files came too, up to {_Times([max(last), *bounds], clock).of(max(last))}"]


def _missing(gaps: Sequence[Gap]) -> list[str]:
    """Of which paths nothing came, and what would bring an end that is missing."""
    said = []
    nothing = [_shown(gap.path) for gap in gaps if gap.missing == "all"]
    if nothing:
        more = f" and {len(nothing) - _MOST_NAMED} more" if nothing[_MOST_NAMED:] else ""
        said.append(f"nothing came of {', '.join(nothing[:_MOST_NAMED])}{more}")
    if options := [gap.written_for for gap in gaps if gap.written_for is not None]:
        longest = max(options, key=lambda one: parse_written_for(one) or timedelta.max)
        said.append(f"files that are written to for longer come with start --written-for {longest}")
    return said


def _of_one(one: _Judged, shown: _Times, *, alone: bool) -> str:
    words = [f"begins {shown.of(one.first)}"] if one.begins else []
    words += [f"ends {shown.of(one.last)}"] if one.ends else []
    said = ", ".join(words) or "is unclear"
    return said if alone else f"{_shown(one.name)} {said}"


def _shown(name: str) -> str:
    """A name of the node's, which can have any characters, and be of any length."""
    name = name if len(name) <= _LONGEST_NAME else f"...{name[-_LONGEST_NAME:]}"
    return "".join(character if character.isprintable() else "?" for character in name)


def _unclear(known: Sequence[_Judged], clock: Clock) -> str:
    first, last = min(one.first for one in known), max(one.last for one in known)
    shown = _Times([first, last], clock)
    why = (
        "the node's time zone is not known"
        if clock.zone is None
        else "a time stamp can be of two moments, or of none, or a file could not be read"
    )
    return f"unknown: {why}; time stamps from {shown.of(first)} to {shown.of(last)}{shown.zone}"


def _bounds(known: Sequence[_Judged], window: Span, clock: Clock) -> tuple[datetime, ...]:
    """Both ends of the window by the node's clock; where it has none, how far the stamps reach.

    Empty if the zone is not known.
    """
    if clock.zone is None:
        return ()
    since = _local(window.since, clock.zone) if window.since else min(one.first for one in known)
    until = _local(window.until, clock.zone) if window.until else max(one.last for one in known)
    return since, until


def _window(bounds: tuple[datetime, ...], shown: _Times, window: Span) -> str:
    if not bounds:
        return "the window, whatever the node's time zone is"
    since, until = map(shown.of, bounds)
    if window.until is None:
        return f"{since} on, the last time stamp is of {until}{shown.zone}"
    if window.since is None:
        return f"up to {until}, the first time stamp is of {since}{shown.zone}"
    return f"{since} to {until}{shown.zone}"


class _Times:
    """Moments of one text: with their dates, unless all are of one day."""

    def __init__(self, moments: Sequence[datetime], clock: Clock) -> None:
        one_day = len({moment.date() for moment in moments}) == 1
        self._form = "%H:%M" if one_day else "%Y-%m-%d %H:%M"
        self.zone = f" ({clock.zone})" if clock.zone is not None else " by the node's clock"

    def of(self, moment: datetime) -> str:
        return moment.strftime(self._form)


def _local(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
