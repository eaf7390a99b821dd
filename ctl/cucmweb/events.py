"""Server-sent events: one watch of the daemon, told to all who listen.

    the daemon -> cucmtrio's events -> `EventStreams.run` -> a queue for each reader -> its stream

An event has the revision of its job as its id, once: what comes of the same revision later, such as
figures, has none. So a reader that comes again with `Last-Event-ID` gets what it has not had: from
the newest events, which are kept, or else as one state.

A reader whose queue is full is cut off, and comes again.

    path                  id               begins with, without Last-Event-ID
    /jobs/{job_id}/events REVISION         the job
    /events               JOB_ID/REVISION  each job that runs or waits

A stream of one job ends once that is closed; who asks for what comes after its end gets 204, after
which no EventSource comes again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import trio

from cucmctl.client.events import JobEvent
from cucmd.protocol.jobs import Job, JobChange, JobReply, JobSummary, ListReply
from cucmweb.exchange import Disconnected, Exchange, encoded
from cucmweb.operations import Operation

# Events that are kept for those who come again, and their bytes at most: some minutes of a job with
# 400 nodes.
_MOST_KEPT, _MOST_BYTES = 4_000, 16 * 1024 * 1024
# Events that wait for a reader.
_MOST_WAITING = 500
# Seconds without an event after which a line is sent that says nothing: a proxy ends a connection
# that is silent for a minute.
_SILENCE = 15.0
# Jobs whose revision is known: as many as the daemon lists.
_MOST_JOBS = 3_000
_MOST_LISTED = 1_000

_ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})


class ServerEvent(msgspec.Struct, frozen=True):
    """An event. is_news: the first of its revision. is_last: of a job that is closed, or is gone.
    is_short: of a job it has no nodes, as a list has it.
    """

    name: str
    job_id: str
    revision: int | None
    data: bytes
    is_news: bool
    is_last: bool
    is_short: bool = False

    def frame(self, *, of_all: bool) -> bytes:
        """As it is sent."""
        lines = b"event: %s\ndata: %s\n\n" % (self.name.encode(), self.data)
        if not self.is_news:
            return lines
        where = f"{self.job_id}/{self.revision}" if of_all else str(self.revision)
        return b"id: %s\n%s" % (where.encode(), lines)


class EventStreams:
    """All streams. `run` must run while any is served."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()
        self._kept: deque[ServerEvent] = deque()
        self._bytes = 0
        self._revisions: dict[str, int] = {}

    async def run(self, events: AsyncIterator[JobEvent]) -> None:
        async for event in events:
            if event.job_id:
                self._tell(event)

    def _tell(self, event: JobEvent) -> None:
        told = self._told(event)
        self._kept.append(told)
        self._bytes += len(told.data)
        while len(self._kept) > _MOST_KEPT or self._bytes > _MOST_BYTES:
            self._bytes -= len(self._kept.popleft().data)
        for reader in tuple(self._readers):
            if told.job_id.startswith(reader.job_id):
                reader.tell(told)

    def _told(self, event: JobEvent) -> ServerEvent:
        job_id, job = event.job_id or "", event.job
        revision = getattr(job, "revision", None)
        is_news = revision is not None and revision > self._revisions.pop(job_id, -1)
        if revision is not None:
            self._revisions[job_id] = revision
            if len(self._revisions) > _MOST_JOBS:
                del self._revisions[next(iter(self._revisions))]
        data = msgspec.json.encode(job if job is not None else {"job_id": job_id})
        is_last = job is None or _is_over(job) or bool(getattr(job, "deleted", False))
        is_short = isinstance(job, JobSummary)
        return ServerEvent(event.name, job_id, revision, data, is_news, is_last, is_short)

    def cut_off(self) -> None:
        """Ends every stream. Their readers come again."""
        for reader in self._readers:
            reader.scope.cancel()

    # A stream.

    async def send(self, exchange: Exchange, operation: Operation) -> None:
        """Answers a request for one."""
        asked = await exchange.parameters(operation)
        job_id = asked.pop("job_id", "")
        with exchange.stream(), self._reader(job_id) as reader:
            begins = self._of_job if job_id else self._of_all
            first = await begins(exchange, reader, asked)
            if first is None:
                await exchange.whole(b"", 204)
                return
            await exchange.begin(operation)
            await exchange.piece(b"retry: 2000\n\n")
            for told in first:
                reader.begins_with(told)
                await exchange.piece(told.frame(of_all=not job_id))
            is_over = bool(job_id and first and first[-1].is_last)
            while not is_over:
                next_one = await reader.next()
                if next_one is None:
                    await exchange.piece(b":\n\n")
                    continue
                if next_one.is_short and job_id:
                    is_news, before = next_one.is_news, next_one.revision
                    job = await _asked(exchange, reader.job_id, asked)
                    next_one = _state(job, is_news=is_news or job.revision != before)
                    reader.begins_with(next_one)
                await exchange.piece(next_one.frame(of_all=not job_id))
                is_over = bool(job_id) and next_one.is_last
            await exchange.end()

    @contextmanager
    def _reader(self, job_id: str) -> Iterator[_Reader]:
        """Before the job is asked for: what happens meanwhile waits."""
        reader = _Reader(job_id)
        self._readers.add(reader)
        try:
            with reader.scope:
                yield reader
        finally:
            self._readers.discard(reader)
        if reader.scope.cancelled_caught:
            raise Disconnected

    async def _of_job(
        self, exchange: Exchange, reader: _Reader, who: Mapping[str, Any]
    ) -> list[ServerEvent] | None:
        """What it begins with; None: nothing will come any more."""
        last = _revision(exchange.header("last-event-id"))
        job = await _asked(exchange, reader.job_id, who)
        reader.job_id = job.job_id
        if last is not None and last == job.revision:
            reader.had[job.job_id] = last
            return None if _is_over(job) else []
        missed = [one for one in self._kept if one.job_id == job.job_id and _is_after(one, last)]
        is_whole = missed and last is not None and missed[0].revision == last + 1
        # Of a job that ran on over a restart there is a line of a list, which has no nodes.
        if is_whole and not any(one.is_short for one in missed):
            return missed
        return [_state(job)]

    async def _of_all(
        self, exchange: Exchange, _reader: _Reader, who: Mapping[str, Any]
    ) -> list[ServerEvent]:
        last = exchange.header("last-event-id")
        kept = list(self._kept)
        for place, one in enumerate(kept):
            if one.is_news and f"{one.job_id}/{one.revision}" == last:
                return kept[place + 1 :]
        first = [] if last is None else [ServerEvent("missed", "", None, b"{}", False, False)]
        for status in ("queued", "running"):  # in this order none that starts meanwhile is missed
            asked = {"status": status, "limit": _MOST_LISTED, **who}
            found = await exchange.daemon.call("List", encoded(asked), ListReply)
            first += [_state(one) for one in reversed(found.jobs)]
        return first


class _Reader:
    """job_id: the beginning of those that it is told of. had: the revision of each job that it has
    from its beginning.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.had: dict[str, int] = {}
        self.scope = trio.CancelScope()
        self._to_tell, self._told = trio.open_memory_channel[ServerEvent](_MOST_WAITING)

    def tell(self, told: ServerEvent) -> None:
        try:
            self._to_tell.send_nowait(told)
        except trio.WouldBlock:
            self.scope.cancel()

    async def next(self) -> ServerEvent | None:
        """None: there was none for some time."""
        with trio.move_on_after(_SILENCE):
            while True:
                told = await self._told.receive()
                # Another job may have begun with what was asked for, before its whole id was known.
                if told.job_id.startswith(self.job_id) and not self._has(told):
                    return told
        return None

    def begins_with(self, told: ServerEvent) -> None:
        if told.revision is not None:
            self.had[told.job_id] = told.revision

    def _has(self, told: ServerEvent) -> bool:
        had = self.had.get(told.job_id)
        if had is None or told.revision is None:
            return False
        return told.revision < had or (told.revision == had and told.is_news)


def _state(job: Job | JobSummary, *, is_news: bool = True) -> ServerEvent:
    data = msgspec.json.encode(job)
    is_short = isinstance(job, JobSummary)
    return ServerEvent("state", job.job_id, job.revision, data, is_news, _is_over(job), is_short)


async def _asked(exchange: Exchange, job_id: str, who: Mapping[str, Any]) -> Job:
    asked = encoded({"job_id": job_id, **who})
    return (await exchange.daemon.call("Status", asked, JobReply)).job


def _is_over(job: Job | JobSummary | JobChange) -> bool:
    return job.status in _ENDED and bool(getattr(job, "closed", False))


def _is_after(told: ServerEvent, revision: int | None) -> bool:
    return revision is not None and told.revision is not None and told.revision > revision


def _revision(given: str | None) -> int | None:
    try:
        return None if given is None else int(given)
    except ValueError:
        return None
