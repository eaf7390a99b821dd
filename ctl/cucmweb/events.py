"""Sends server-sent events: one watch of the daemon is told to all who listen.

    the daemon -> cucmtrio's events -> `EventStreams.run` -> the newest events -> each stream

    the watch   since                          who comes then
    begins      the start, or a failure        is answered what the daemon refuses; else waits
    watches     the states of then were told   is told how things are, and then what happens
    is away     the daemon does not answer     waits

Who has looked at the daemon while it is watched, is told whatever happens after that, also over a
time in which it is away. Who waits has a stream that is open and says nothing: an EventSource that
is answered anything but 200 never comes again. What the daemon refuses then cuts the stream off,
and is the answer once its reader comes again.

Each stream reads from the same newest events, so that what is kept does not grow with their number.
One that has not read what is no longer kept is cut off, and its reader comes again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec
import trio

from cucmctl.client.errors import DaemonUnavailable, LimitReached, ShuttingDown
from cucmctl.client.events import JobEvent
from cucmd.protocol.jobs import JobSummary
from cucmweb.event_stream import SILENCE, EventStream
from cucmweb.exchange import Disconnected, Exchange
from cucmweb.kept_events import KeptEvents, ServerEvent, is_over
from cucmweb.operations import Operation

# Jobs whose revision is known: as many as are known by those events come from.
_MOST_JOBS = 3_000
# After these the same question has an answer once the daemon is there again.
_AWAY = (DaemonUnavailable, ShuttingDown, LimitReached)
# Seconds until it is asked again, where it is watched all the same.
_PAUSE = 2.0

_log = logging.getLogger("cucmweb")


class EventStreams:
    """Holds all streams. `run` must run while any is served."""

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._kept = KeptEvents()
        self._revisions: dict[str, int] = {}
        self._watching = trio.Event()
        self._is_away = False

    async def run(self, events: AsyncIterator[JobEvent]) -> None:
        """Cuts off every stream at its end, also where it is cancelled."""
        try:
            async for event in events:
                if event.name in ("begun", "back"):
                    _log.info("the daemon is watched")
                    self._is_away = False
                    self._watching.set()
                elif event.name == "away":
                    _log.warning("the daemon is away: %s", event.why)
                    self._is_away = True
                    self._watching = trio.Event()
                elif event.job_id:
                    self._tell(event)
        finally:
            self._cut_off()

    def is_followed(self, job_id: str) -> bool:
        """Says whether a stream is of this job, so that it has to be told with its nodes."""
        return any(one.job_id and job_id.startswith(one.job_id) for one in self._streams)

    def _cut_off(self) -> None:
        """Ends all streams. Their readers come again: nobody knows what they would be told. They
        are told nothing of before that either.
        """
        self._kept.clear()
        self._revisions.clear()
        self._watching = trio.Event()
        self._is_away = False
        for stream in self._streams:
            stream.scope.cancel()

    def _tell(self, event: JobEvent) -> None:
        told = self._told(event)
        number = self._kept.end
        self._kept.add(told)
        for stream in self._streams:
            if told.job_id.startswith(stream.job_id):
                stream.wake(number)

    def _told(self, event: JobEvent) -> ServerEvent:
        job_id, job = event.job_id or "", event.job
        revision = getattr(job, "revision", None)
        is_news = revision is not None and revision > self._revisions.pop(job_id, -1)
        if revision is not None:
            self._revisions[job_id] = revision
            if len(self._revisions) > _MOST_JOBS:
                del self._revisions[next(iter(self._revisions))]
        data = msgspec.json.encode(job if job is not None else {"job_id": job_id})
        is_gone = job is None or bool(getattr(job, "deleted", False))
        closed = getattr(job, "closed", None)
        is_last = is_gone or (job is not None and is_over(job.status, closed=closed))
        is_short = isinstance(job, JobSummary)
        return ServerEvent(event.name, job_id, revision, data, is_news, is_last, is_gone, is_short)

    async def send(self, exchange: Exchange, operation: Operation) -> None:
        """Answers a request for a stream."""
        asked = await exchange.parameters(operation)
        stream = EventStream(exchange, operation, asked, self._kept)
        with exchange.stream(), self._held(stream):
            while not await self._looked(stream):
                await stream.open()
                await self._wait()
                await stream.say_nothing()
            await stream.tell()

    @contextmanager
    def _held(self, stream: EventStream) -> Iterator[None]:
        self._streams.add(stream)
        try:
            with stream.scope:
                yield
        finally:
            self._streams.discard(stream)
        if stream.scope.cancelled_caught:
            raise Disconnected

    async def _looked(self, stream: EventStream) -> bool:
        """Has the stream look. Says whether it knows how things are and is told all that comes."""
        if self._is_away:
            return False
        is_watched = self._watching.is_set()  # before it looks
        try:
            await stream.look()
        except _AWAY:
            return False
        return is_watched

    async def _wait(self) -> None:
        with trio.move_on_after(SILENCE):
            if self._watching.is_set():
                await trio.sleep(_PAUSE)
            await self._watching.wait()
