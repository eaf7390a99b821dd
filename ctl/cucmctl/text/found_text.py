"""Turns what `find` has found into lines of text, and says what could not be searched.

    23:11:04.120  cucm-pub   SDL001_100_000008.txt.gz:4711: SIP/2.0 503 Service Unavailable

Lines around a match have "-" in place of ":", and "--" stands between places that do not touch, as
`grep -C` prints them. Times are in the reader's zone. A time without a date is of the day of the
job's window.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

from cucmctl.cli.printer import visible
from cucmctl.text.listing import short_path
from cucmctl.text.remarks import join_names, short_names, without_node_name
from cucmctl.text.render import count_of, size
from cucmctl.text.window import minute, window
from cucmd.protocol.cases import (
    FindReply,
    Followed,
    FoundFile,
    Match,
    MissingLog,
    Search,
    WrongFile,
)
from cucmd.protocol.jobs import Job

# The most lines of a message; --json has everything.
_MOST_LINES = 20
_NO_TIME = "-" * len("23:11:04.120")


class FoundText:
    """Turns matches into lines.

    names   the names of nodes, by `Node.node`
    day     the day whose times have no date; None if every time has its date
    around  whether the matches have lines around them
    mark    what is coloured in a line that matches; None for no colours
    """

    def __init__(
        self,
        names: Mapping[str, str],
        day: date | None,
        *,
        around: bool = False,
        mark: re.Pattern[str] | None = None,
    ) -> None:
        self._names = {node: visible(name) for node, name in names.items()}
        self._width = max(map(len, self._names.values()), default=0)
        self._day = day
        self._around = around
        self.mark = mark
        self._place = ("", "")  # node and path of the last match
        self._printed = 0  # the number of the last line of that file that was yielded
        self._behind: Sequence[tuple[int, str]] = ()  # lines behind that match, by number

    def lines(self, matches: Iterable[Match]) -> Iterator[str]:
        """Yields the lines of some matches. The lines behind the last match follow later, because
        the next match may be one of them.
        """
        for match in matches:
            place, number = (match.node, match.path), match.number
            is_below = place == self._place and number > self._printed
            if is_below:
                self._behind = [line for line in self._behind if line[0] < number]
            yield from self.rest()
            before = list(enumerate(match.before or (), number - len(match.before or ())))
            if is_below:
                before = [line for line in before if line[0] > self._printed]
            first = before[0][0] if before else number
            touches = is_below and first == self._printed + 1
            if self._around and self._place[0] and not touches:
                yield "--"
            yield from (self._line(match, at, text) for at, text in before)
            yield self._line(match, number, match.line)
            self._place, self._printed = place, number
            self._behind = [
                (at, self._line(match, at, text))
                for at, text in enumerate(match.after or (), number + 1)
            ]

    def rest(self) -> Iterator[str]:
        """Yields the lines behind the last match."""
        for number, text in self._behind:
            yield text
            self._printed = number
        self._behind = ()

    def file(self, found: FoundFile) -> str:
        """Returns the line of a file, with the number of its matches."""
        name = self._names.get(found.node) or visible(found.node)
        return f"{found.matches:>7}  {name:{self._width}}  {visible(short_path(found.path))}"

    def _line(self, match: Match, number: int, text: str) -> str:
        """Returns the line of a match, or a line around it if `number` is another one."""
        is_match = number == match.number
        name = self._names.get(match.node) or visible(match.node)
        at = _NO_TIME if match.time is None else time_of_day(match.time, self._day)
        at, sign = (at, ":") if is_match else (" " * len(at), "-")
        file = "/".join(
            visible(one.rpartition("/")[2]) for one in (match.path, match.member) if one
        )
        file = file if self.mark is None else f"\x1b[35m{file}\x1b[m"
        parts = marked(text.rstrip("\r"), self.mark if is_match else None)
        line = "".join(
            f"\x1b[1;31m{visible(part)}\x1b[m" if is_marked else visible(part)
            for part, is_marked in parts
        )
        return f"{at}  {name:{self._width}}  {file}{sign}{number}{sign} {line}"


def time_of_day(at: datetime, day: date | None) -> str:
    """Returns `23:11:04.120`, with the date before it if the date is not `day`."""
    at = at.astimezone()
    date = "" if at.date() == day else f"{at:%Y-%m-%d} "
    return f"{date}{at:%H:%M:%S}.{at.microsecond // 1000:03}"


def day_of(job: Job) -> date | None:
    """Returns the day of the window of a job, or None if the window has more than one or no end."""
    window = job.collection
    if window.since is None or window.until is None:
        return None
    days = {datetime.fromisoformat(end).astimezone().date() for end in (window.since, window.until)}
    return days.pop() if len(days) == 1 else None


# Marks


def pattern_of(search: Search, followed: Iterable[Followed] = ()) -> re.Pattern[str] | None:
    """Returns a pattern for what to mark in lines that match. It can miss some of it.

    The daemon has searched bytes, and this pattern is for text. Returns None for a regular
    expression that works only on bytes.
    """
    flags = re.ASCII | (re.IGNORECASE if search.ignore_case else 0)
    if search.regex is not None:
        try:
            return re.compile(search.regex, flags)
        except (re.error, ValueError):
            return None
    texts = [search.text, search.call_id, *(one.value for one in followed)]
    if search.number is not None:
        texts.append(re.sub(r"[\s().\-/+]", "", search.number))
    # The longest first, since one can be the beginning of another.
    known = sorted({text for text in texts if text}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known)), flags)


def marked(line: str, pattern: re.Pattern[str] | None) -> Iterator[tuple[str, bool]]:
    """Yields the parts of a line, and whether each part is to be marked."""
    end = 0
    for found in pattern.finditer(line) if pattern else ():
        if found.end() > found.start():
            yield line[end : found.start()], False
            yield found[0], True
            end = found.end()
    yield line[end:], False


# What was searched, and what could not be


class Total:
    """Counts what the replies to a search have said, and keeps what is missing."""

    def __init__(self) -> None:
        self.matches = self.files = self.bytes = 0
        self.with_match: set[tuple[str, str]] = set()
        self.followed: list[Followed] = []
        self.not_followed: list[str] = []
        self.missing: list[MissingLog] = []
        self.unread: list[WrongFile] = []
        self.unordered = False

    def add(self, reply: FindReply) -> None:
        self.files, self.bytes = reply.files, reply.bytes
        self.matches += len(reply.matches or ()) + sum(one.matches for one in reply.found or ())
        self.with_match.update((one.node, one.path) for one in reply.matches or reply.found or ())
        self.followed += reply.followed or ()
        self.not_followed += reply.not_followed or ()
        self.missing += reply.missing or ()
        self.unread += reply.unread or ()
        self.unordered = self.unordered or bool(reply.unordered)

    @property
    def is_incomplete(self) -> bool:
        """Returns whether there may be a match that was not found."""
        return bool(self.missing or self.unread or not self.files)


def result(total: Total, names: Mapping[str, str]) -> Iterator[str]:
    """Yields what was found, and then what is missing."""
    text, wrong = searched(total), missing_parts(total, names)
    if not wrong:
        yield text
        return
    yield f"{text}, but {wrong[0]}"
    yield from (f"  and {one}" for one in wrong[1:_MOST_LINES])
    if len(wrong) > _MOST_LINES:
        yield f"  and {len(wrong) - _MOST_LINES} more; --json has all"


def searched(total: Total) -> str:
    """Returns what was found and searched, such as `12 matches in 3 of 64 files, 1.2 GB`."""
    files = f"{count_of(total.files, 'file')}, {size(total.bytes)}"
    text = f"no match in {files}"
    if not total.files:
        text = "no file was searched (cucmctl files lists the files of a job)"
    if total.matches:
        matches = "1 match" if total.matches == 1 else f"{total.matches} matches"
        text = f"{matches} in {len(total.with_match)} of {files}"
    if total.unordered:
        text += "; some are not in the order of time, because too many were found at once"
    return text


def missing_parts(total: Total, names: Mapping[str, str]) -> list[str]:
    """Returns a text for each thing that could not be searched, or for which that is not known."""
    wrong = [*missing_texts(total.missing, names)]
    wrong += [
        f"{short_path(file.path)} of {names.get(file.node, file.node)} {file.reason}"
        for file in total.unread
    ]
    return wrong


def summary(total: Total, job: Job) -> tuple[list[str], list[str]]:
    """Returns what was searched and followed, and what is missing."""
    names = short_names(job.nodes)
    says = [searched(total), *followed_text(total.followed, names)]
    return says, [*missing_parts(total, names), *total.not_followed]


def missing_texts(missing: Iterable[MissingLog], names: Mapping[str, str]) -> Iterator[str]:
    """Yields such as `cm/trace/ccm/sdl of cucm-sub1 has nothing from 23:10 to 23:42 CET`, with the
    day. What several nodes miss is one text.
    """
    nodes: dict[tuple[str, str], list[str]] = {}
    for one in missing:
        span = ""
        since, until = (at and at.replace(second=0, microsecond=0) for at in (one.since, one.until))
        if since is not None:
            span = f" from {window(since.isoformat(), until.isoformat() if until else None)}"
        elif until is not None:
            span = f" up to {minute(until)}"
        before, after = f"{one.log} of ", f" has nothing{span}"
        if one.log is None:
            before, after = "everything has come of ", span
            before = f"it is not known whether {before}" if one.unclear else f"not {before}"
        elif one.unclear:
            before = f"it is not known whether {before}"
            after = " is complete, because not all of its time stamps could be read"
        after += f": {without_node_name(one, one.reason)}" if one.reason else ""
        nodes.setdefault((before, after), []).append(names.get(one.node, one.node))
    for (before, after), found in nodes.items():
        yield f"{before}{join_names(found, all_names=False)}{after}"


def followed_text(followed: Sequence[Followed], names: Mapping[str, str]) -> Iterator[str]:
    """Yields what was followed to find a call: each identifier, and the file that has it."""
    for one in followed[:_MOST_LINES]:
        where = ""
        if one.node is not None and one.path is not None:
            where = f" ({names.get(one.node, one.node)}, {one.path.rpartition('/')[2]})"
        yield f"followed {one.kind} {one.value}{where}"
    if len(followed) > _MOST_LINES:
        yield f"followed {len(followed) - _MOST_LINES} more; --json has all"
