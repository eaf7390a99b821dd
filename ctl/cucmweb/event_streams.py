"""Sends server-sent events. One watch of the daemon feeds the streams of all readers.

    the daemon -> cucmtrio's events -> `EventStreams.run` -> the newest events -> each stream

    the watch   since                           a reader that connects then
    begins      the start, or a failure         gets the daemon's refusal, or waits
    watches     it got the current states       gets the current state, and then each change
    is away     the daemon stopped answering    waits

A stream that has got the current state gets every change after it, even if the daemon is away for a
time. A stream that waits is answered 200 and stays silent, because an EventSource that gets another
status never reconnects. If the daemon then refuses it, it is cut off, and the reader gets the
refusal when it reconnects.

All streams read the same list of newest events, so memory does not grow with their number. A stream
whose next event is no longer kept is cut off, and its reader reconnects.

    path                   begins with               with a `Last-Event-ID`
    /jobs/{job_id}/events  the job                   if that event is kept: the events after it
                                                     else: the job, unless its revision is the same
    /events                each job that runs or     if that event is kept: the events after it
                           waits                     else: `missed`, then as without

The jobs with which `/events` begins have no ids. An id without an event follows them, so a reader
that is cut off among them still has its previous id, or none.

A stream of a job ends once the job is closed. A request for events after that gets 204, and no
EventSource reconnects after a 204.
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
from cucmweb.exchange import Exchange, Members, encode
from cucmweb.kept_events import KeptEvents, ServerEvent, frame_event, id_line
from cucmweb.operations import Operation
from cucmweb.page.live import Live
from cucmweb.server import Disconnected

# Jobs whose last revision is remembered, as many as cucmtrio's events remember.
_MOST_JOBS = 3_000
# Errors after which the same call can succeed once the daemon answers again.
_AWAY = (DaemonUnavailable, ShuttingDown, LimitReached)
# Seconds after which a stream asks the daemon again if it got no answer while the watch goes on.
_PAUSE = 2.0
# Seconds without an event after which an empty comment is sent: many proxies end a connection that
# is silent for a minute.
_SILENCE = 15.0
# Seconds after which a reader reconnects, between these two at random, so that readers that were
# cut off together, as by a restart of cucmweb, do not all reconnect at the same moment.
_SOONEST, _LATEST = 2.0, 5.0
# Bytes of events in one piece.
_PIECE = 64 * 1024
# Jobs in each list that is asked for when a stream of all jobs begins.
_LISTED = 200
# Jobs are listed in this order, so that a job that starts between the two lists is not missed.
_UNFINISHED = ("queued", "running")

_MISSED = b"event: missed\ndata: {}\n\n"
_SILENT = b":\n\n"

_log = logging.getLogger("cucmweb")


class EventStreams:
    """Holds all streams. `run` has to run while streams are served.

    live  is told what has changed, for the streams of the page
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._streams: set[EventStream] = set()
        self._kept = KeptEvents()
        self._revisions: dict[str, int] = {}
        self._watching = trio.Event()
        self._is_away = False
        self._refusal = ""

    async def run(self, events: AsyncIterator[JobEvent]) -> None:
        """Feeds the streams with events. When it ends or is cancelled, it ends all streams, since
        they would miss events. Readers that reconnect begin anew.
        """
        try:
            async for event in events:
                if event.name in ("begun", "back"):
                    _log.info("the daemon sends events")
                    self._refusal = ""
                    self._is_away = False
                    self._watching.set()
                    self._live.change_all()
                elif event.name == "away":
                    _log.warning("the daemon is away: %s", event.why)
                    self._is_away = True
                    self._watching = trio.Event()
                    self._live.change_all()
                elif event.job_id:
                    self._publish(event)
        finally:
            self._kept = KeptEvents()
            self._revisions.clear()
            self._watching = trio.Event()
            self._is_away = False
            for stream in self._streams:
                stream.scope.cancel()

    def log_refusal(self, error: ClientError) -> None:
        """Logs why the daemon refuses the watch, unless the last refusal was the same."""
        if str(error) != self._refusal:
            _log.error("the daemon refuses to send events: %s", error)
        self._refusal = str(error)

    def is_followed(self, job_id: str) -> bool:
        """Returns whether there is a stream of this job, which needs the job with its nodes."""
        return any(s.job_id and job_id.startswith(s.job_id) for s in self._streams)

    def _publish(self, event: JobEvent) -> None:
        """Keeps the event, and wakes the streams that want it."""
        job_id, job = event.job_id or "", event.job
        self._live.change(job_id)
        revision = getattr(job, "revision", None)
        # `pop` and not `get`: the job is added again at the end below, so that the job without an
        # event for the longest time is the first to be forgotten.
        is_news = revision is not None and revision > self._revisions.pop(job_id, -1)
        if revision is not None:
            self._revisions[job_id] = revision
            if len(self._revisions) > _MOST_JOBS:
                del self._revisions[next(iter(self._revisions))]
        data = msgspec.json.encode(job if job is not None else {"job_id": job_id})
        is_gone = job is None or bool(getattr(job, "deleted", False))
        is_last = is_gone or bool(getattr(job, "closed", False))
        is_short = isinstance(job, JobSummary)
        kept = ServerEvent(event.name, job_id, revision, data, is_news, is_last, is_gone, is_short)
        number = self._kept.end  # the number that `add` gives the event
        self._kept.add(kept)
        for stream in self._streams:
            if job_id.startswith(stream.job_id):
                stream.wake(number)

    async def send(
        self, exchange: Exchange, operation: Operation, parameters: dict[str, Any]
    ) -> None:
        """Answers a request for an event stream."""
        # Added before it asks for the state: `_publish` then wakes it for every change that comes
        # while the daemon answers.
        stream = EventStream(exchange, operation, parameters, self._kept)
        self._streams.add(stream)
        try:
            with exchange.places.streams.held(exchange.caller), stream.scope:
                while not await self._has_state(stream):
                    await stream.open()
                    with trio.move_on_after(_SILENCE):
                        if self._watching.is_set():
                            await trio.sleep(_PAUSE)
                        await self._watching.wait()
                    await exchange.channel.send(_SILENT)
                await stream.send_events()
        finally:
            self._streams.discard(stream)
        if stream.scope.cancelled_caught:
            raise Disconnected

    async def _has_state(self, stream: EventStream) -> bool:
        """Lets the stream ask the daemon for the current state. Returns whether it has got it and
        will get every change after it.
        """
        if self._is_away:
            return False
        is_watched = self._watching.is_set()  # before it asks
        try:
            await stream.ask_state()
        except _AWAY:
            return False
        return is_watched


class EventStream:
    """Sends one reader the events of the jobs whose ids begin with `job_id`.

    `ask_state` has to succeed before `send_events` is called.
    """

    def __init__(
        self, exchange: Exchange, operation: Operation, parameters: dict[str, Any], kept: KeptEvents
    ) -> None:
        self.job_id: str = parameters.pop("job_id", "")
        self.scope = trio.CancelScope()
        self._exchange = exchange
        self._last = exchange.header("last-event-id")
        self._operation = operation
        self._parameters: Mapping[str, Any] = parameters
        self._of_all = not self.job_id
        self._kept = kept
        self._is_over = False
        self._newest_id: str | None = None  # of the newest event when it asked for the state
        self._found, self._listed = msgspec.Raw(), ListReply(())  # the state
        self._sent_revisions: dict[str, int] = {}  # by job, in the state that was sent
        self._next = kept.end  # the number of the event that it reads next
        self._news = trio.Event()  # set while an event with that number or a later one is for it

    def wake(self, number: int) -> None:
        """Tells the stream that the event with this number is for it."""
        if not self._news.is_set():
            self._next = number
            self._news.set()

    # The beginning of a stream

    async def ask_state(self) -> None:
        """Asks the daemon for the current state. Raises `ClientError`."""
        # Noted before the call. A change that the daemon makes during the call may be in the state
        # and also come as an event; `_frame` leaves such an event out. The other order would lose
        # changes.
        self._next, self._news = self._kept.end, trio.Event()  # later changes follow the state
        self._newest_id = self._kept.newest_id()
        if self._of_all:
            self._listed = await self._list(_UNFINISHED[0])
        else:
            call = encode({"job_id": self.job_id, **self._parameters})
            self._found = (await self._exchange.daemon.call("Status", call, Members))["job"]

    async def open(self) -> None:
        """Sends the head of the reply, unless it was sent before."""
        if not self._exchange.channel.status:
            self._exchange.begin(self._operation)
            pause = random.uniform(_SOONEST, _LATEST)  # noqa: S311  # no secret
            await self._exchange.channel.send(b"retry: %d\n\n" % (1000 * pause))

    async def send_events(self) -> None:
        """Sends the state and then the events, until the job is closed."""
        first = b"" if self._of_all else self._begin_with_job()
        if self._is_over and not first and not self._exchange.channel.status:
            # The reader has the last event already, so it has reconnected after the end of the
            # stream. After an empty stream with the status 200 it would reconnect for ever.
            self._exchange.channel.start(204, {})
            await self._exchange.channel.end()
            return
        await self.open()
        if self._of_all:
            await self._begin_with_all()
        await self._exchange.channel.send(first)
        while not self._is_over:
            events = b""
            with trio.move_on_after(_SILENCE):
                while not (events := self._take_events()):
                    await self._news.wait()
            await self._exchange.channel.send(events or _SILENT)
        await self._exchange.channel.end()

    def _begin_with_job(self) -> bytes:
        """Returns the job as the first event, or no bytes if the stream goes on after an event that
        the reader already has.
        """
        last, found = self._last, self._found
        self._found = msgspec.Raw()  # frees memory, which is much for 500 streams
        job = msgspec.json.decode(found, type=_JobFields)
        self.job_id = job.job_id
        has_all = last == str(job.revision)
        if has_all and job.closed:
            self._is_over = True
            return b""
        number = None if last is None else self._kept.after(last, job.job_id)
        # If the daemon was restarted, an event may have the job as in a list, without nodes.
        news = [] if number is None else [self._kept[n] for n in range(number, self._kept.end)]
        is_short = any(event.is_short for event in news if event.job_id == job.job_id)
        if number is not None and not is_short:
            self._next = number
            self._news.set()
            return b""
        self._sent_revisions[job.job_id] = job.revision
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
                # A list begins with the newest job. Readers get the oldest first, as with events.
                states = [_state(msgspec.json.encode(job)) for job in reversed(listed.jobs)]
                await self._exchange.channel.send(b"".join(states))
                self._sent_revisions |= {job.job_id: job.revision for job in listed.jobs}
                if not listed.older:
                    break
                listed = await self._list(status, before=listed.jobs[-1].job_id)
        # If there was no event yet, the id is "-", which no event has. So a reader that reconnects
        # with it is told that it has missed events.
        await self._exchange.channel.send(id_line(self._newest_id or "-") + b"\n")

    async def _list(self, status: str, **more: str) -> ListReply:
        call = encode({"status": status, "limit": _LISTED, **more, **self._parameters})
        return await self._exchange.daemon.call("List", call, ListReply)

    # The events after the state

    def _take_events(self) -> bytes:
        """Takes up to about `_PIECE` bytes of the events that wait for the reader."""
        if not self._news.is_set():
            # Skip the events of other jobs. Some of them may no longer be kept.
            self._next = self._kept.end
        frames: list[bytes] = []
        size = 0
        while self._next < self._kept.end and size < _PIECE and not self._is_over:
            if self._next < self._kept.begin:
                raise Disconnected  # the reader is too slow, and reconnects
            event = self._kept[self._next]
            self._next += 1
            # While only the beginning of the id was known, events of another job may have woken it.
            if event.job_id.startswith(self.job_id):
                frames.append(frame := self._frame(event))
                size += len(frame)
                self._is_over = bool(frame) and event.is_last and not self._of_all
        if self._next == self._kept.end:
            self._news = trio.Event()
        return b"".join(frames)

    def _frame(self, event: ServerEvent) -> bytes:
        """Returns an event as it is sent. An event that the first state contained is left out; in a
        stream of all jobs its id is sent nevertheless.
        """
        sent, revision = self._sent_revisions.get(event.job_id), event.revision
        if sent is None or revision is None or event.is_gone or revision > sent:
            return frame_event(event, of_all=self._of_all)
        if revision == sent and not event.is_news:  # new figures
            return frame_event(event, of_all=self._of_all)
        needs_id = event.is_news and self._of_all
        return id_line(event.event_id(of_all=True)) + b"\n" if needs_id else b""


def _state(job: bytes) -> bytes:
    return b"event: state\ndata: %s\n\n" % job


class _JobFields(msgspec.Struct):
    """Holds the fields of a job that are needed here. The others are passed on unread."""

    job_id: str
    revision: int
    closed: bool  # no further event will come
