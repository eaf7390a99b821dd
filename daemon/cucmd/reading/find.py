"""Searches files of a job for lines, as one of several processes (`cases/finder.py`).

    pages of files -> the first time stamp of each file -> the files in the order of time
        -> pieces of whole lines -> the lines that are found, each with its time -> the daemon

A process that has found many lines waits until the daemon takes them. With each frame goes a mark:
the time before which the process will find nothing more. The daemon merges the lines of all
processes by these marks, so that no process has to keep what it has found.

An archive is read before all other files, because only its end tells the times of its files.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from itertools import accumulate, chain
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import msgspec

from cucmd.reading.call_search import CallSearch, Identifier, begin_of_last_signal
from cucmd.reading.node_traces import find_zone
from cucmd.reading.number_search import NumberSearch
from cucmd.reading.stamps import LineTimes, first_stamp
from cucmd.reading.traces import BEGINNING, chunks, opened, unpacked_beginning
from cucmd.reading.unpack import GZIP, CutOff, NotWhole, TarMembers, is_tar, unpack
from cucmd.worker import frames
from cucmd.worker.forked import Channel
from cucmd.worker.frames import NO_TIME, FindIn, FoundLine

# A compiled search. It gets a piece of whole lines, and yields a position in each line that
# matches, in order. It may yield several positions in a line.
Lines: TypeAlias = Callable[[bytes], Iterable[int]]
# Lines before a piece, the piece, and lines after it.
Piece: TypeAlias = tuple[bytes, bytes, bytes]

_PIECE = 256 * 1024
# A line that is longer than this is searched in parts. A text that lies in two parts is found
# because a part begins with so many bytes of the part before.
_LONGEST_SEARCHED, _OVERLAP = 1024 * 1024, 4096
# The bytes that are sent of a long line, how many of them are before what was found, and the bytes
# of a line around it.
_LONGEST_LINE, _LEAD, _LONGEST_AROUND = 32 * 1024, 1024, 4096
# Bytes of lines in one frame, and seconds between two frames.
_FRAME, _FRAME_EVERY = 64 * 1024, 0.3
_MOST_NAMED = 200  # files in one frame
# Lines may be out of order by so many milliseconds.
_OUT_OF_ORDER = 60_000
# Seconds of processor time in which a regular expression must have searched a piece. A useful one
# needs milliseconds.
REGEX_SECONDS = 2.0
# Seconds of processor time for one file, plus one for each so many bytes of it. Logs need a tenth.
_SECONDS, _BYTES_A_SECOND = 10, 1_000_000
# The name of a file to which the node still writes, and that of a second copy.
_WRITTEN = re.compile(rb"\.gzo(?:\.\d{1,3})?$")
# Said of a gzip in a gzip, or an archive in an archive. Nodes are not known to send such files.
_TWICE = "is packed twice, so its lines were not searched"
# Before all times: the mark of a file that is read before all others.
_FIRST = -1

_ASKED = msgspec.msgpack.Decoder(FindIn)
_PAGE = msgspec.msgpack.Decoder(frames.FindPage)


def find(channel: Channel) -> None:
    """Runs as a process that searches files."""
    asked = channel.receive(_ASKED)
    try:
        lines = compile_search(asked)
    except (ValueError, re.error, OverflowError, RecursionError, _TooLong) as error:
        channel.send(frames.FindBegun(str(error)[:200]))
        return
    channel.send(frames.FindBegun())
    search = FileSearch(channel, asked, lines)
    while (page := channel.receive(_PAGE)).files:
        search.add(page)
    search.run()


def compile_search(asked: FindIn) -> Lines:
    """Returns the search. Raises `ValueError`, or an error of the module `re`."""
    if asked.call:
        return CallSearch(_identifiers(asked.call), _identifiers(asked.too_common))
    if asked.number is not None:
        return NumberSearch(asked.number)
    if asked.regex is not None:
        flags = re.IGNORECASE if asked.ignore_case else re.NOFLAG
        with _time_limit():
            return _regex_search(re.compile(asked.regex.encode(), flags))
    text = (asked.text or "").encode()
    return _caseless_text_search(text) if asked.ignore_case else _text_search(text)


def _identifiers(pairs: Iterable[tuple[str, str]]) -> list[Identifier]:
    return [msgspec.convert({"kind": kind, "value": value}, Identifier) for kind, value in pairs]


def _text_search(text: bytes) -> Lines:
    def lines(piece: bytes) -> Iterator[int]:
        at = piece.find(text)
        while at >= 0:
            yield at
            end = piece.find(b"\n", at)
            at = piece.find(text, end) if end >= 0 else -1

    return lines


def _caseless_text_search(text: bytes) -> Lines:
    lines = _text_search(text.lower())
    return lambda piece: lines(piece.lower())


def _regex_search(pattern: re.Pattern[bytes]) -> Lines:
    def lines(piece: bytes) -> Iterator[int]:
        # One line at a time: in a whole piece a match could begin in one line and end in another.
        each = piece.removesuffix(b"\n").split(b"\n")
        with _time_limit():
            found = [number for number, line in enumerate(each) if pattern.search(line)]
        if found:
            starts = list(accumulate((len(line) + 1 for line in each), initial=0))
            yield from (starts[number] for number in found)

    return lines


class _TooLong(Exception):
    def __str__(self) -> str:
        return f"it needs more than {REGEX_SECONDS:g} s for {_PIECE // 1024} KiB"


@contextmanager
def _time_limit() -> Iterator[None]:
    """Limits the processor time of the block. Raises `_TooLong`.

    The module `re` looks for signals while it searches, so that a handler can end it.
    """
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, REGEX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _TooLong


class _File(msgspec.Struct):
    """Describes a file to search. begin: the time of its first line, or `_FIRST` or `NO_TIME`."""

    begin: int
    node: int
    path: bytes
    by: datetime
    zone: tzinfo | None


class FileSearch:
    """Searches the files, and sends what it finds."""

    def __init__(
        self, channel: Channel, asked: FindIn, lines: Lines, seconds: float = _SECONDS
    ) -> None:
        self._channel = channel
        self._asked = asked
        self._lines = lines
        self._seconds = seconds
        self._directory = Path(asked.directory.decode(errors="surrogateescape"))
        self._files: list[_File] = []
        # What was searched, and what was found since the last frame.
        self._searched = self._size = 0
        self._found: list[FoundLine] = []
        self._found_size = 0
        self._counted: list[frames.CountedLines] = []
        self._unread: list[frames.UnsearchedFile] = []
        self._ties: list[frames.FoundTie] = []
        self._sent_at = time.monotonic()
        # Of the file that is searched: the lines that were found, the time of the next file, and
        # the processor time at which its search has to end.
        self._count = 0
        self._following = NO_TIME
        self._deadline = 0.0
        self._damage: NotWhole | None = None

    def add(self, page: frames.FindPage) -> None:
        """Adds files, of which it reads the beginnings."""
        zone = find_zone(page.zone)
        for path in page.files:
            file = _File(NO_TIME, page.node, path, page.by, zone)
            try:
                with opened(self._path(file)) as (descriptor, size):
                    beginning = unpacked_beginning(chunks(descriptor, 0, min(size, BEGINNING)))
            except OSError as error:
                self._note_unread(file, f"cannot be read: {error.strerror}")
                continue
            times = self._times(file, beginning)
            if is_tar(beginning):
                file.begin = _FIRST
            elif times is not None and times.latest is not None:
                file.begin = times.latest
            until = self._asked.until
            if until is None or file.begin == NO_TIME or file.begin - _OUT_OF_ORDER <= until:
                self._files.append(file)

    def run(self) -> None:
        self._files.sort(key=lambda file: file.begin)
        begins = [*(file.begin for file in self._files), NO_TIME]
        for file, following in zip(self._files, begins[1:], strict=True):
            self._following = following
            self._count = 0
            try:
                with opened(self._path(file)) as (descriptor, size):
                    seconds = self._seconds + size / _BYTES_A_SECOND
                    seconds *= 1 + len(self._asked.call)
                    self._deadline = time.process_time() + seconds
                    content = unpack(self._chunks(descriptor, size))
                    archive = _members(content) if file.begin == _FIRST else (("", content),)
                    for name, member in archive:
                        self._search(file, name, member)
            except _TooLong as error:
                self._note_unread(file, str(error))
                self._send(NO_TIME, too_long=True, ended=True)
                return
            except NotWhole as error:
                self._note_damage(file, "", error)
            except OSError as error:
                self._note_unread(file, f"cannot be read: {error.strerror}")
            self._searched += 1
            if self._count and self._asked.files:
                self._counted.append(frames.CountedLines(file.node, file.path, self._count))
            self._send_if_due(following)
        self._send(NO_TIME, ended=True)

    def _path(self, file: _File) -> Path:
        return self._directory / file.path.decode(errors="surrogateescape")

    def _times(self, file: _File, beginning: bytes) -> LineTimes | None:
        first = first_stamp(beginning[:BEGINNING], file.by)
        return None if first is None else LineTimes(first, file.by, file.zone)

    def _chunks(self, descriptor: int, size: int) -> Iterator[bytes]:
        for chunk in chunks(descriptor, 0, size):
            self._size += len(chunk)
            yield chunk

    def _search(self, file: _File, member: str, content: Iterator[bytes]) -> None:
        """Searches a file, or one in an archive."""
        asked, content = self._asked, self._to_damage(content)
        beginning = next(filter(None, content), b"")
        if beginning.startswith(GZIP) or is_tar(beginning):
            self._note_unread(file, f"{member}: {_TWICE}" if member else _TWICE)
            return
        pieces = _whole_lines(chain((beginning,), content))
        if asked.context or asked.call:
            around = _with_context(pieces, asked.context, of_call=bool(asked.call))
        else:
            around = ((b"", piece, b"") for piece in pieces)
        if asked.ties:
            self._find_ties(file, around)
        else:
            self._find_lines(file, member, around)
        if self._damage is not None:
            self._note_damage(file, member, self._damage)
            self._damage = None

    def _to_damage(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """Yields the content. If there is damage, or the time is up, keeps it in `_damage`.

        An exception would end the generators that read this before they yield their last lines.
        """
        try:
            for piece in content:
                if time.process_time() > self._deadline:
                    self._damage = NotWhole("takes far longer to search than logs of its size")
                    return
                yield piece
        except NotWhole as error:
            self._damage = error

    def _find_ties(self, file: _File, pieces: Iterable[Piece]) -> None:
        assert isinstance(self._lines, CallSearch)
        for _, piece, _ in pieces:
            for tie in self._lines.ties(piece):
                one, via = tie.identifier, tie.via
                names = (one.kind, one.value, via.kind, via.value)
                self._ties.append(frames.FoundTie(file.node, file.path, *names))
            self._send_if_due(_FIRST)

    def _find_lines(self, file: _File, member: str, pieces: Iterable[Piece]) -> None:
        asked = self._asked
        times: LineTimes | None = None
        number = 1  # of the line at the beginning of the piece
        is_first, was_found = True, False
        for before, piece, after in pieces:
            if is_first and (not asked.files or asked.since is not None or asked.until is not None):
                times = self._times(file, piece)
            is_first = False
            if times is not None:
                times.begin_piece(piece)
            newlines = at = 0
            # A line that is searched in parts counts once.
            end = piece.find(b"\n") if was_found else -1
            was_found = was_found and end < 0
            for position in self._lines(piece) if not was_found else ():
                if position <= end:
                    continue
                start = piece.rfind(b"\n", 0, position) + 1
                end = piece.find(b"\n", position)
                was_found = end < 0
                end = len(piece) if was_found else end
                moment = None if times is None else times.at(start)
                if moment is not None and not self._is_in_window(moment):
                    continue
                self._count += 1
                if asked.files:
                    continue
                newlines, at = newlines + piece.count(b"\n", at, start), start
                is_long = end - start > _LONGEST_LINE
                line = piece[max(start, position - _LEAD) if is_long else start : end]
                found = FoundLine(
                    NO_TIME if moment is None else moment,
                    file.node,
                    file.path,
                    number + newlines,
                    line[:_LONGEST_LINE].removesuffix(b"\r"),
                    member,
                    _lines_before(before, piece, start, asked.context),
                    _lines_after(piece, end, after, asked.context),
                )
                self._found.append(found)
                self._found_size += len(line) + 100 + len(file.path) + 4 * len(member)
                self._found_size += sum(map(len, found.before + found.after))
                if self._found_size >= _FRAME:
                    self._send_if_due(self._mark(file, times))
            number += newlines + piece.count(b"\n", at)
            self._send_if_due(self._mark(file, times))

    def _is_in_window(self, moment: int) -> bool:
        since, until = self._asked.since, self._asked.until
        return (since is None or moment >= since) and (until is None or moment <= until)

    def _mark(self, file: _File, times: LineTimes | None) -> int:
        """Returns the time before which nothing more will be found."""
        if file.begin in (_FIRST, NO_TIME) or times is None or times.latest is None:
            return min(file.begin, self._following)
        return min(times.latest, self._following)

    def _note_damage(self, file: _File, member: str, error: NotWhole) -> None:
        # The node still writes to a file whose name ends in .gzo (vos/NODES.md, section 5.6). The
        # coverage says until when it has lines.
        name = member.encode() or file.path
        if not (isinstance(error, CutOff) and _WRITTEN.search(name)):
            self._note_unread(file, f"{member}: {error}" if member else str(error))

    def _note_unread(self, file: _File, why: str) -> None:
        if not self._unread or self._unread[-1].path != file.path:
            self._unread.append(frames.UnsearchedFile(file.node, file.path, why[:200]))

    def _send_if_due(self, mark: int) -> None:
        many = len(self._counted) + len(self._unread) >= _MOST_NAMED
        if many or self._found_size >= _FRAME or time.monotonic() - self._sent_at > _FRAME_EVERY:
            self._send(mark if mark == NO_TIME else mark - _OUT_OF_ORDER)

    def _send(self, mark: int, *, too_long: bool = False, ended: bool = False) -> None:
        self._channel.send(
            frames.LinesFound(
                mark,
                self._searched,
                self._size,
                tuple(self._found),
                tuple(self._counted),
                tuple(self._unread),
                tuple(self._ties),
                too_long,
                ended,
            )
        )
        self._found, self._counted, self._unread, self._ties = [], [], [], []
        self._found_size = 0
        self._sent_at = time.monotonic()


def _members(content: Iterator[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yields the name and the content of each file in an archive.

    Raises `NotWhole` at the end of an archive that is cut off.
    """
    tar = TarMembers(content)
    for name, member in tar:
        yield name, unpack(member)
    if not tar.whole:
        raise NotWhole("ends before the end of its archive")


def _whole_lines(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yields pieces of whole lines, but a very long line in parts, which overlap."""
    parts: list[bytes] = []
    size = 0
    for chunk in content:
        parts.append(chunk)
        size += len(chunk)
        if size < _PIECE:
            continue
        piece = b"".join(parts)
        end = piece.rfind(b"\n") + 1
        if end:
            yield piece[:end]
            piece = piece[end:]
        elif size > _LONGEST_SEARCHED:
            yield piece
            piece = piece[-_OVERLAP:]
        parts, size = [piece], len(piece)
    if size:
        yield b"".join(parts)


def _with_context(pieces: Iterable[bytes], most: int, *, of_call: bool) -> Iterator[Piece]:
    """Yields each piece with at least so many lines before and after it, if there are so many.

    of_call: the pieces have only whole signals, as `CallSearch` needs them.
    """
    before = after = b""
    for piece in pieces:
        after += piece
        end = _start_of_last(after, most) if most else len(after)
        if of_call:
            end = begin_of_last_signal(after[:end])
        if end or len(after) > 2 * _LONGEST_SEARCHED:
            piece, after = after[: end or None], after[end or len(after) :]  # noqa: PLW2901
            yield before, piece, after
            before = (before + piece)[-most * _LONGEST_AROUND :] if most else b""
    yield before, after, b""


def _start_of_last(text: bytes, most: int) -> int:
    """Returns where the last lines of a text begin."""
    at = len(text)
    for _ in range(most + 1):
        at = text.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    return at + 1


def _lines_before(before: bytes, piece: bytes, start: int, most: int) -> tuple[bytes, ...]:
    size = most * _LONGEST_AROUND
    text = piece[max(start - size, 0) : start]
    text = before + text if len(text) < size else text
    return _split(text[_start_of_last(text, most) :], most)


def _lines_after(piece: bytes, end: int, after: bytes, most: int) -> tuple[bytes, ...]:
    size = most * _LONGEST_AROUND
    text = piece[end + 1 : end + 1 + size]
    return _split(text + after if len(text) < size else text, most)


def _split(text: bytes, most: int) -> tuple[bytes, ...]:
    lines = text.removesuffix(b"\n").split(b"\n", most)[:most] if text else []
    return tuple(line[:_LONGEST_AROUND].removesuffix(b"\r") for line in lines)
