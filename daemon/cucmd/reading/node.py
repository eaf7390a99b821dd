"""Says what the files of one node cover of the window, in a process that reads its traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cucmd.job.coverage import MOST_GAPS, Covered
from cucmd.reading.covered import (
    Clock,
    PathFound,
    Paths,
    Span,
    extent_of,
    gaps_of,
    trace_name,
)
from cucmd.reading.in_words import describe
from cucmd.reading.traces import Traces, last_stamp, look
from cucmd.worker.forked import Channel
from cucmd.worker.frames import ReadTraces, TracePage, TracesRead

_ASKED = msgspec.msgpack.Decoder(ReadTraces)
_PAGE = msgspec.msgpack.Decoder(TracePage)


def read_traces(channel: Channel) -> None:
    """Runs as a process that reads the traces of one node, and sends what they cover."""
    reading = NodeReading(channel.receive(_ASKED))
    while files := channel.receive(_PAGE).files:
        for path, name in files:
            reading.look(path, name)
    channel.send(TracesRead(reading.covered()))


class NodeReading:
    """Holds what was found in the files of one node so far.

    unread   how many could not be read
    came     position of a path -> the traces that its files are of
    strange  some are of no path that is known
    """

    def __init__(self, asked: ReadTraces) -> None:
        self._asked = asked
        self._directory = Path(asked.directory)
        self._paths = Paths(asked.paths, recurs=asked.recurs)
        self._files = Traces()
        self._unread = 0
        self._came: dict[int, set[str]] = {}
        self._strange = False

    def look(self, path: str, name: str) -> None:
        """Reads the beginning of one file."""
        # A node makes two folders for each push (vos/NODES.md, section 5.6).
        name = name.split("/", 2)[-1]
        found = look(self._directory / path, self._asked.by)
        if found.traces is not None:
            for trace in found.traces:
                self._files.add_trace(trace)
                self._add(trace.file, trace.name)
            return
        if found.unread:
            self._unread += 1
            self._files.miss(name)
        elif not found.empty:
            self._files.add(path, name, found.first)
        self._add(name, trace_name(name))

    def _add(self, name: str, trace: str) -> None:
        positions = self._paths.of(name)
        self._strange = self._strange or not positions
        known = {trace} & self._files.traces.keys()  # of which there are not too many
        for position in positions:
            self._came.setdefault(position, set()).update(known)

    def covered(self) -> Covered:
        """Once all files were looked at: the last one of each trace is read to its end.

        Of a node that has failed without a file nothing is said: its failure does.
        """
        asked = self._asked
        if not (self._came or self._strange or asked.asked):
            return Covered("")
        for name, (path, first) in self._files.newest.items():
            end = last_stamp(self._directory / path, first, asked.by)
            self._files.traces[name].end = end
        window = Span(asked.since, asked.until)
        zone: tzinfo | None = UTC if asked.zone == "UTC" else None
        if asked.zone is not None and zone is None:
            # The zone database of this machine may not have it. OSError: a folder, as
            # America/Indiana.
            with suppress(ZoneInfoNotFoundError, ValueError, OSError):
                zone = ZoneInfo(asked.zone)
        clock = Clock(zone, timedelta(seconds=asked.ahead))
        gaps = gaps_of(self._by_path(), window, clock)
        traces = self._files.all()
        said = describe(traces, window, clock, self._unread, gaps)
        extent = extent_of(traces, window, clock, self._unread, gaps)
        return Covered(said, gaps[:MOST_GAPS], extent)

    def _by_path(self) -> Iterator[PathFound]:
        traces = self._files.traces
        for position, path in enumerate(self._asked.paths):
            names = self._came.get(position)
            if names is None and (self._strange or path in self._asked.unverified):
                continue  # what is strange may be of this path
            found = None if names is None else [traces[name] for name in names]
            yield PathFound(path, found, self._asked.longer[position])
