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

    path                  begins with                     with the `Last-Event-ID` of an event
    /jobs/{job_id}/events the job                         that is kept: what came after it
                                                          else: the job, if that is another by now
    /events               each job that runs or waits     that is kept: what came after it
                                                          else: `missed`, then as without

The jobs of which `/events` begins have no id, and then comes one without an event: who is cut off
in between has the id of before, or none.

A stream of a job ends once that is closed; who asks for what comes after its end gets 204, after
which no EventSource comes again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import trio

from cucmctl.client.errors import ClientError, DaemonUnavailable, LimitReached, ShuttingDown
from cucmctl.client.job_events import JobEvent
from cucmd.protocol.jobs import JobSummary, ListReply
from cucmweb.exchange import Exchange, Members, encoded
from cucmweb.kept_events import KeptEvents, ServerEvent, framed, id_line
from cucmweb.operations import Operation
from cucmweb.server import Disconnected

# Jobs whose revision is known: as many as are known by those events come from.
_MOST_JOBS = 3_000
# After these the same question has an answer once the daemon is there again.
_AWAY = (DaemonUnavailable, ShuttingDown, LimitReached)
# Seconds until the daemon is asked again, where it is watched all the same.
_PAUSE = 2.0
# Seconds without an event after which a line is sent that says nothing: a proxy ends a connection
# that is silent for a minute.
_SILENCE = 15.0
# Seconds after which a reader comes again. All that were cut off at once, as by a restart of
# cucmweb, come one after the other: a caller has only so many requests a second.
_SOONEST, _LATEST = 2.0, 5.0
# Bytes that are sent at once.
_PIECE = 64 * 1024
# Jobs that are asked for at once, to begin with.
_LISTED = 200
# In this order none that starts meanwhile is missed.
_UNFINISHED = ("queued", "running")

_MISSED = b"event: missed\ndata: {}\n\n"
_SILENT = b":\n\n"

_log = logging.getLogger("cucmweb")


class EventStreams:
    """Holds all streams. `run` must run while any is served."""

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._kept = KeptEvents()
        self._revisions: dict[str, int] = {}
        self._watching = trio.Event()
        self._is_away = False
        self._refusal = ""

    async def run(self, events: AsyncIterator[JobEvent]) -> None:
        """Ends all streams at its end, also where it is cancelled: nobody knows what they would be
        told. Readers that come again are told nothing of before.
        """
        try:
            async for event in events:
                if event.name in ("begun", "back"):
                    _log.info("the daemon is watched")
                    self._refusal = ""
                    self._is_away = False
                    self._watching.set()
                elif event.name == "away":
                    _log.warning("the daemon is away: %s", event.why)
                    self._is_away = True
                    self._watching = trio.Event()
                elif event.job_id:
                    self._tell(event)
        finally:
            self._kept.clear()
            self._revisions.clear()
            self._watching = trio.Event()
            self._is_away = False
            for stream in self._streams:
                stream.scope.cancel()

    def log_refusal(self, error: ClientError) -> None:
        """Logs why the daemon refuses the watch, once until it refuses it in other words."""
        if str(error) != self._refusal:
            _log.error("no events come from the daemon: %s", error)
        self._refusal = str(error)

    def is_followed(self, job_id: str) -> bool:
        """Says whether a stream is of this job, so that it has to be told with its nodes."""
        return any(one.job_id and job_id.startswith(one.job_id) for one in self._streams)

    def _tell(self, event: JobEvent) -> None:
        """Keeps the event, and wakes the streams that it is for."""
        job_id, job = event.job_id or "", event.job
        revision = getattr(job, "revision", None)
        is_news = revision is not None and revision > self._revisions.pop(job_id, -1)
        if revision is not None:
            self._revisions[job_id] = revision
            if len(self._revisions) > _MOST_JOBS:
                del self._revisions[next(iter(self._revisions))]
        data = msgspec.json.encode(job if job is not None else {"job_id": job_id})
        is_gone = job is None or bool(getattr(job, "deleted", False))
        is_last = is_gone or bool(getattr(job, "closed", False))
        is_short = isinstance(job, JobSummary)
        told = ServerEvent(event.name, job_id, revision, data, is_news, is_last, is_gone, is_short)
        number = self._kept.end
        self._kept.add(told)
        for stream in self._streams:
            if job_id.startswith(stream.job_id):
                stream.wake(number)

    async def send(self, exchange: Exchange, operation: Operation, asked: dict[str, Any]) -> None:
        """Answers a request for a stream."""
        stream = EventStream(exchange, operation, asked, self._kept)
        self._streams.add(stream)
        try:
            with exchange.places.streams.held(exchange.who), stream.scope:
                while not await self._looked(stream):
                    await stream.open()
                    with trio.move_on_after(_SILENCE):
                        if self._watching.is_set():
                            await trio.sleep(_PAUSE)
                        await self._watching.wait()
                    await exchange.channel.send(_SILENT)
                await stream.tell()
        finally:
            self._streams.discard(stream)
        if stream.scope.cancelled_caught:
            raise Disconnected

    async def _looked(self, stream: EventStream) -> bool:
        """Lets the stream ask the daemon how things are. Returns whether it now knows that, and is
        told all that happens from then on.
        """
        if self._is_away:
            return False
        is_watched = self._watching.is_set()  # before it looks
        try:
            await stream.look()
        except _AWAY:
            return False
        return is_watched


class EventStream:
    """Is told of the jobs whose ids begin with `job_id`. `look` comes before `tell`."""

    def __init__(
        self, exchange: Exchange, operation: Operation, asked: dict[str, Any], kept: KeptEvents
    ) -> None:
        self.job_id: str = asked.pop("job_id", "")
        self.scope = trio.CancelScope()
        self._exchange = exchange
        self._last = exchange.header("last-event-id")
        self._operation = operation
        self._who: Mapping[str, Any] = asked
        self._of_all = not self.job_id
        self._kept = kept
        self._is_over = False
        self._place: str | None = None  # as it looked
        self._found, self._listed = msgspec.Raw(), ListReply(())
        self._had: dict[str, int] = {}  # the revision of each job that it has from its beginning
        self._next = kept.end  # the number of the event that it looks at next
        self._news = trio.Event()  # there is something for it at that number, or later

    def wake(self, number: int) -> None:
        """There is an event for it."""
        if not self._news.is_set():
            self._next = number
            self._news.set()

    # How it begins.

    async def look(self) -> None:
        """Asks the daemon what there is. Raises what that refuses."""
        self._next, self._news = self._kept.end, trio.Event()  # what happens meanwhile follows
        self._place = self._kept.newest_place()
        if self._of_all:
            self._listed = await self._list(_UNFINISHED[0])
        else:
            asked = encoded({"job_id": self.job_id, **self._who})
            self._found = (await self._exchange.daemon.call("Status", asked, Members))["job"]

    async def open(self) -> None:
        """Sends the head of the reply, if it was not sent."""
        if not self._exchange.channel.status:
            self._exchange.begin(self._operation)
            pause = random.uniform(_SOONEST, _LATEST)  # noqa: S311  # no secret
            await self._exchange.channel.send(b"retry: %d\n\n" % (1000 * pause))

    async def tell(self) -> None:
        """Tells what happens from the beginning until the end of its job."""
        first = b"" if self._of_all else self._first_of_job()
        if self._is_over and not first and not self._exchange.channel.status:
            self._exchange.channel.start(204, {})
            await self._exchange.channel.end()
            return
        await self.open()
        if self._of_all:
            await self._begin_with_all()
        await self._exchange.channel.send(first)
        while not self._is_over:
            taken = b""
            with trio.move_on_after(_SILENCE):
                while not (taken := self._taken()):
                    await self._news.wait()
            await self._exchange.channel.send(taken or _SILENT)
        await self._exchange.channel.end()

    def _first_of_job(self) -> bytes:
        """Returns what the stream of a job begins with; no bytes if it goes on after an event."""
        last, found = self._last, self._found
        self._found = msgspec.Raw()  # of 500 streams it would be much
        job = msgspec.json.decode(found, type=_JobAsItIs)
        self.job_id = job.job_id
        has_all = last == str(job.revision)
        if has_all and job.closed:
            self._is_over = True
            return b""
        number = None if last is None else self._kept.after(last, job.job_id)
        # Of a job that ran on over a restart there may be a line of a list, which has no nodes.
        news = [] if number is None else [self._kept[n] for n in range(number, self._kept.end)]
        is_short = any(one.is_short for one in news if one.job_id == job.job_id)
        if number is not None and not is_short:
            self._next = number
            self._news.set()
            return b""
        self._had[job.job_id] = job.revision
        if has_all:
            return b""
        self._is_over = job.closed
        return id_line(str(job.revision)) + _state(found)

    async def _begin_with_all(self) -> None:
        last = self._last
        listed, self._listed = self._listed, ListReply(())
        number = None if last is None else self._kept.after(last, None)
        if number is not None:
            self._next = number
            self._news.set()
            return
        if last is not None:
            await self._exchange.channel.send(_MISSED)
        for status in _UNFINISHED:
            if status != _UNFINISHED[0]:
                listed = await self._list(status)
            while True:
                states = [_state(msgspec.json.encode(one)) for one in reversed(listed.jobs)]
                await self._exchange.channel.send(b"".join(states))
                self._had |= {one.job_id: one.revision for one in listed.jobs}
                if not listed.older:
                    break
                listed = await self._list(status, before=listed.jobs[-1].job_id)
        # Where there was no event yet it is an id that none has: who comes with it has missed some.
        await self._exchange.channel.send(id_line(self._place or "-") + b"\n")

    async def _list(self, status: str, **more: str) -> ListReply:
        asked = encoded({"status": status, "limit": _LISTED, **more, **self._who})
        return await self._exchange.daemon.call("List", asked, ListReply)

    # How it goes on.

    def _taken(self) -> bytes:
        """Takes of what waits as much as is sent at once."""
        if not self._news.is_set():
            # What others had meanwhile is not looked at, and some of it may not be kept any more.
            self._next = self._kept.end
        frames: list[bytes] = []
        size = 0
        while self._next < self._kept.end and size < _PIECE and not self._is_over:
            if self._next < self._kept.begin:
                raise Disconnected  # it is too slow, and comes again
            one = self._kept[self._next]
            self._next += 1
            # Another job may have begun with what was asked for, before its whole id was known.
            if one.job_id.startswith(self.job_id):
                frames.append(frame := self._frame(one))
                size += len(frame)
                self._is_over = bool(frame) and one.is_last and not self._of_all
        if self._next == self._kept.end:
            self._news = trio.Event()
        return b"".join(frames)

    def _frame(self, one: ServerEvent) -> bytes:
        """Writes an event. Of one that the reader has from its beginning, `/events` writes only the
        place among all.
        """
        had = self._had.get(one.job_id)
        if had is None or one.revision is None or one.is_gone or one.revision > had:
            return framed(one, of_all=self._of_all)
        if one.revision == had and not one.is_news:
            return framed(one, of_all=self._of_all)
        return id_line(one.place(of_all=True)) + b"\n" if one.is_news and self._of_all else b""


def _state(job: bytes) -> bytes:
    return b"event: state\ndata: %s\n\n" % job


class _JobAsItIs(msgspec.Struct):
    """Holds what has to be known of a job: the rest goes on as it came."""

    job_id: str
    revision: int
    closed: bool  # nothing more will come of it
