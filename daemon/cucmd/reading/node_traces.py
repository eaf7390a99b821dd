"""Says which part of the window the files of one node cover, in a process of its own."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, timedelta, tzinfo
from math import inf
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cucmd.job.coverage import MOST_GAPS, Covered, Gap
from cucmd.reading.coverage_text import describe
from cucmd.reading.trace_files import trace_name
from cucmd.reading.traces import Traces, last_stamp, read_beginning
from cucmd.reading.window_coverage import (
    Clock,
    PathFound,
    Paths,
    RequestedWindow,
    cover_logs,
    find_gaps,
)
from cucmd.worker.forked import Channel
from cucmd.worker.frames import ReadTraces, TracePage, TracesRead

_ASKED = msgspec.msgpack.Decoder(ReadTraces)
_PAGE = msgspec.msgpack.Decoder(TracePage)


def read_traces(channel: Channel) -> None:
    """Runs as a process that reads the traces of one node, and sends their coverage."""
    reading = NodeReading(channel.receive(_ASKED))
    while files := channel.receive(_PAGE).files:
        for path, name in files:
            reading.read_file(path, name)
    channel.send(TracesRead(reading.covered()))


class NodeReading:
    """Collects the time stamps in the files of one node.

    _traces_of_path     for each path, by position, the traces that its files belong to
    _has_unknown_paths  whether some files belong to no path that is known
    """

    def __init__(self, asked: ReadTraces) -> None:
        self._asked = asked
        self._directory = Path(asked.directory)
        self._paths = Paths(asked.paths, recurs=asked.recurs)
        self._files = Traces()
        self._unread = 0
        self._traces_of_path: dict[int, set[str]] = {}
        self._has_unknown_paths = False

    def read_file(self, path: str, name: str) -> None:
        # A node makes two folders for each push (vos/NODES.md, section 5.6).
        name = name.split("/", 2)[-1]
        found = read_beginning(self._directory / path, self._asked.by)
        if found.traces is not None:
            for trace in found.traces:
                self._files.add_trace(trace)
                self._note_paths(trace.file, trace.name)
            return
        if found.unread:
            self._unread += 1
            self._files.add_unread(name)
        elif not found.empty:
            self._files.add(path, name, found.first)
        self._note_paths(name, trace_name(name))

    def _note_paths(self, name: str, trace: str) -> None:
        positions = self._paths.of(name)
        self._has_unknown_paths = self._has_unknown_paths or not positions
        known = {trace} & self._files.traces.keys()
        for position in positions:
            self._traces_of_path.setdefault(position, set()).update(known)

    def covered(self) -> Covered:
        """Returns the coverage. Call this once, after `read_file` was called for all files.

        The files whose ends matter are read to their end here. The text is empty for a node that
        failed without a file, since its failure says enough.
        """
        asked = self._asked
        if not (self._traces_of_path or self._has_unknown_paths or asked.asked):
            return Covered("")
        for file, following in self._files.files_to_end():
            limit = None if following is None else following.first
            file.end = last_stamp(self._directory / file.path, file.first, asked.by, limit)
        window = RequestedWindow(asked.since, asked.until)
        clock = Clock(find_zone(asked.zone), timedelta(seconds=asked.ahead))
        traces = self._files.sorted_traces()
        by_path = []
        for position, path in enumerate(asked.paths):
            names = self._traces_of_path.get(position)
            if names is None and (self._has_unknown_paths or path in asked.unverified):
                continue  # the unknown files may belong to this path
            found = None if names is None else [self._files.traces[name] for name in names]
            by_path.append(PathFound(path, found, asked.longer[position]))
        gaps = find_gaps(by_path, window, clock)
        text = describe(traces, window, clock, self._unread, gaps)
        if len(gaps) > MOST_GAPS:
            gaps = tuple(sorted(gaps, key=_shortness)[:MOST_GAPS])
        return Covered(text, gaps, cover_logs(traces, window, clock))


def find_zone(name: str | None) -> tzinfo | None:
    """Returns the time zone of a node, or None if the name is None, or not known here."""
    if name is None or name == "UTC":
        return None if name is None else UTC
    # The zone database of this machine may lack the zone. OSError: the name is a folder of the
    # database, such as America/Indiana.
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(name)
    return None


def _shortness(gap: Gap) -> float:
    """Sorts gaps, the longest first. If nothing came of a path, that gap is the longest."""
    return -inf if gap.seconds is None else -gap.seconds
